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

/** An edge that spans more degrees of longitude may go round the earth either way. */
const EDGE_DEGREES_MAX = 180;

/**
 * What makes an area none that a map in degrees can tell, and what to do; null where nothing does. An area over the 180° meridian is written as two, as
 * RFC 7946 (§3.1.9) cuts it: its edges would lead round the other side of the earth.
 */
export function areaFault(area: Area): { readonly what: string; readonly hint: string } | null {
  for (let i = 0, j = area.length - 1; i < area.length; j = i++) {
    const [west, east] = [area[j][1], area[i][1]];
    if (!(Math.abs(west - east) > EDGE_DEGREES_MAX)) continue;
    return {
      what: `its edge from longitude ${west} to ${east} spans more than ${EDGE_DEGREES_MAX} degrees, so that it may go either way round`,
      hint: "over the 180° meridian write two areas, one that ends at 180 and one that begins at -180, and ask inside(…) OR inside(…); a wide area needs corners in between",
    };
  }
  return null;
}

/**
 * An area as a test of places in degrees, latitude and longitude as on a plain map: a box first, then the crossings of a ray (Shimrat 1962). Where two
 * areas share an edge, a place on it is within exactly one of them; which one, nothing says.
 */
export function areaTest(area: Area): (lat: number, lon: number) => boolean {
  const lats = Float64Array.from(area, ([lat]) => lat);
  const lons = Float64Array.from(area, ([, lon]) => lon);
  const [south, north, west, east] = [Math.min(...lats), Math.max(...lats), Math.min(...lons), Math.max(...lons)];
  return (lat, lon) => {
    if (!(lat >= south && lat <= north && lon >= west && lon <= east)) return false;
    let isInside = false;
    for (let i = 0, j = lats.length - 1; i < lats.length; j = i++) {
      if (lats[i] > lat === lats[j] > lat) continue;
      // From south to north, whichever way around the area was written: neighbours round the same crossing alike.
      const from = lats[i] < lats[j] ? i : j;
      const to = from === i ? j : i;
      const crossing = ((lons[to] - lons[from]) * (lat - lats[from])) / (lats[to] - lats[from]) + lons[from];
      if (lon < crossing) isInside = !isInside;
    }
    return isInside;
  };
}
