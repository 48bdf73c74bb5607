// Places: distances on the globe, and whether a place lies within an area.

/** Mean radius of the earth (IUGG). */
const EARTH_KM = 6371.0088;
const RADIANS = Math.PI / 180;

/**
 * Great-circle distance between two places in degrees, by the haversine formula (Sinnott 1984), in kilometres; NaN where a coordinate is missing
 * or is none.
 */
export function distanceKm(lat: number, lon: number, otherLat: number, otherLon: number): number {
  if (!(isLatitude(lat) && isLatitude(otherLat) && isLongitude(lon) && isLongitude(otherLon))) return Number.NaN;
  const north = Math.sin(((otherLat - lat) * RADIANS) / 2);
  const east = Math.sin(((otherLon - lon) * RADIANS) / 2);
  const chord = north * north + Math.cos(lat * RADIANS) * Math.cos(otherLat * RADIANS) * east * east;
  return 2 * EARTH_KM * Math.asin(Math.min(1, Math.sqrt(chord)));
}

export function isLatitude(degrees: number): boolean {
  return degrees >= -90 && degrees <= 90;
}

export function isLongitude(degrees: number): boolean {
  return degrees >= -180 && degrees <= 180;
}

/** Corners as [latitude, longitude] in degrees, in order around; the last is joined to the first. */
export type Area = readonly (readonly [lat: number, lon: number])[];

/** An area as a test of places: a box first, then the crossings of a ray (Shimrat 1962). A place on an edge may fall on either side. */
export function areaTest(area: Area): (lat: number, lon: number) => boolean {
  const lats = Float64Array.from(area, ([lat]) => lat);
  const lons = Float64Array.from(area, ([, lon]) => lon);
  const [south, north, west, east] = [Math.min(...lats), Math.max(...lats), Math.min(...lons), Math.max(...lons)];
  return (lat, lon) => {
    if (!(lat >= south && lat <= north && lon >= west && lon <= east)) return false;
    let isInside = false;
    for (let i = 0, j = lats.length - 1; i < lats.length; j = i++) {
      if (lats[i] > lat === lats[j] > lat) continue;
      const crossing = ((lons[j] - lons[i]) * (lat - lats[i])) / (lats[j] - lats[i]) + lons[i];
      if (lon < crossing) isInside = !isInside;
    }
    return isInside;
  };
}
