// Speed between two places of one key: the last one is kept in some ten metres and whole seconds.
import { distanceKm } from "../../core/place.ts";
import { RECENT_SCALE } from "../../core/window.ts";
import { finite, type Step } from "../../expression/steps.ts";

const HOUR_MS = 3_600_000;
/** Nobody moved: below what the kept places tell apart. */
const STILL_KM = 0.1;
/** Two events of one second are a second apart. */
const APART_MS_MIN = 1000;

/** From lat, lon, time and the last lat and lon as they are kept, kilometres per hour. */
export function speedStep(to: number, [lat, lon, time, lastLat, lastLon]: readonly number[]): Step {
  return (n) => {
    const seconds = Math.floor(n[lastLat] / RECENT_SCALE);
    const atLat = ((n[lastLat] - seconds * RECENT_SCALE) / (RECENT_SCALE - 1)) * 180 - 90;
    const lonSeconds = Math.floor(n[lastLon] / RECENT_SCALE);
    const atLon = ((n[lastLon] - lonSeconds * RECENT_SCALE) / (RECENT_SCALE - 1)) * 360 - 180;
    const km = distanceKm(n[lat], n[lon], atLat, atLon);
    const apart = Math.max(n[time] - seconds * 1000, APART_MS_MIN);
    n[to] = finite(km < STILL_KM ? 0 : km / (apart / HOUR_MS));
  };
}
