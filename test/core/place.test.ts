// Places: distances that others published, and areas against another way of telling what lies within.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Area, areaFault, areaTest, distanceKm } from "../../src/core/place.ts";

const RADIUS_KM = 6371.0088;

test.each([
  // Ed Williams, Aviation Formulary 1.47: Los Angeles to New York is 0.623585 radians.
  ["LAX", 33 + 57 / 60, -(118 + 24 / 60), "JFK", 40 + 38 / 60, -(73 + 47 / 60), 0.623585 * RADIUS_KM, 0.01],
  ["Paris", 48.8566, 2.3522, "London", 51.5074, -0.1278, 343.6, 0.5],
  ["Paris", 48.8566, 2.3522, "New York", 40.7128, -74.006, 5837, 3],
  ["the equator", 0, 0, "a quarter of it", 0, 90, (Math.PI / 2) * RADIUS_KM, 1e-6],
  ["east of the 180° meridian", 0, 179, "west of it", 0, -179, (2 / 180) * Math.PI * RADIUS_KM, 1e-6],
  ["one pole", 90, 12, "the other", -90, -77, Math.PI * RADIUS_KM, 1e-6],
  ["a place", -33.8688, 151.2093, "itself", -33.8688, 151.2093, 0, 1e-9],
])("%s (%f, %f) to %s (%f, %f): %f km", (_, lat, lon, _other, otherLat, otherLon, km, within) => {
  expect(Math.abs(distanceKm(lat, lon, otherLat, otherLon) - km)).toBeLessThanOrEqual(within);
});

test("the haversine is the angle between two vectors from the centre", () => {
  const vector = (lat: number, lon: number): readonly number[] => {
    const [a, b] = [(lat * Math.PI) / 180, (lon * Math.PI) / 180];
    return [Math.cos(a) * Math.cos(b), Math.cos(a) * Math.sin(b), Math.sin(a)];
  };
  const degrees = (most: number) => fc.double({ min: -most, max: most, noNaN: true });
  fc.assert(
    fc.property(degrees(90), degrees(180), degrees(90), degrees(180), (lat, lon, otherLat, otherLon) => {
      const [[a, b, c], [d, e, f]] = [vector(lat, lon), vector(otherLat, otherLon)];
      const cross = Math.hypot(b * f - c * e, c * d - a * f, a * e - b * d);
      const km = RADIUS_KM * Math.atan2(cross, a * d + b * e + c * f);
      // Near the antipode the haversine's arcsine is flat: a metre there.
      expect(Math.abs(distanceKm(lat, lon, otherLat, otherLon) - km)).toBeLessThan(1e-3);
    }),
  );
});

test("a distance is not known where a coordinate is missing or is none", () => {
  for (const [lat, lon] of [
    [Number.NaN, 2],
    [48, Number.NaN],
    [90.1, 2],
    [48, -180.1],
    [Number.POSITIVE_INFINITY, 2],
  ]) {
    expect(distanceKm(lat, lon, 48, 2)).toBeNaN();
    expect(distanceKm(48, 2, lat, lon)).toBeNaN();
  }
});

/** A horseshoe, open to the north. */
const HORSESHOE: Area = [
  [0, 0],
  [0, 30],
  [20, 30],
  [20, 20],
  [10, 20],
  [10, 10],
  [20, 10],
  [20, 0],
];

test("a concave area: its arms are within, the gap between them is not, in either order of the corners", () => {
  for (const area of [HORSESHOE, [...HORSESHOE].reverse(), [...HORSESHOE.slice(3), ...HORSESHOE.slice(0, 3)]]) {
    const isWithin = areaTest(area);
    expect([isWithin(15, 5), isWithin(15, 25), isWithin(5, 15)]).toEqual([true, true, true]);
    expect([isWithin(15, 15), isWithin(25, 5), isWithin(-1, 5), isWithin(5, 31), isWithin(5, -1)]).toEqual([
      false,
      false,
      false,
      false,
      false,
    ]);
    // At the height of corners, where a ray meets two edges at once.
    expect([isWithin(10, 5), isWithin(10, 25), isWithin(10, -5), isWithin(10, 35)]).toEqual([true, true, false, false]);
  }
});

test("any area: within is where the corners wind around the place", () => {
  const coordinate = (most: number) => fc.integer({ min: -most, max: most });
  const corner = fc.tuple(coordinate(40), coordinate(80)) as fc.Arbitrary<readonly [number, number]>;
  // Halves between whole numbers lie on no edge that is level, and seldom on one that is not.
  const place = fc.tuple(coordinate(41), coordinate(81)).map(([lat, lon]) => [lat + 0.5, lon + 0.497] as const);
  fc.assert(
    fc.property(fc.array(corner, { minLength: 3, maxLength: 9 }), place, (area, [lat, lon]) => {
      // Odd turns are within, as the ray counts: an area may cross itself.
      let angle = 0;
      let onEdge = false;
      for (const [i, [a, b]] of area.entries()) {
        const [c, d] = area[(i + 1) % area.length];
        const cross = (b - lon) * (c - lat) - (a - lat) * (d - lon);
        onEdge ||= Math.abs(cross) < 1e-9;
        angle += Math.atan2(cross, (b - lon) * (d - lon) + (a - lat) * (c - lat));
      }
      fc.pre(!onEdge);
      const turns = Math.round(angle / (2 * Math.PI));
      expect(areaTest(area)(lat, lon)).toBe(turns % 2 !== 0);
    }),
    { numRuns: 1000 },
  );
});

test("a place on an edge that two areas share is within exactly one of them", () => {
  const grid = (top: number, left: number): Area => [
    [top, left],
    [top, left + 10],
    [top + 10, left + 10],
    [top + 10, left],
  ];
  const squares = [-10, 0].flatMap((top) => [-10, 0].map((left) => areaTest(grid(top, left))));
  for (let at = -9; at < 10; at += 0.5) {
    expect(squares.filter((test) => test(0, at)).length).toBe(1);
    expect(squares.filter((test) => test(at, 0)).length).toBe(1);
  }
  // A slanting edge, whose crossings are rounded: each neighbour writes it the other way around.
  const [left, right] = [
    areaTest([
      [0.1, 0.1],
      [9.7, 7.3],
      [9.7, -20],
      [0.1, -20],
    ]),
    areaTest([
      [9.7, 7.3],
      [0.1, 0.1],
      [0.1, 20],
      [9.7, 20],
    ]),
  ];
  for (let step = 1; step < 1000; step++) {
    const lat = 0.1 + (9.6 * step) / 1000;
    const lon = 0.1 + (7.2 * step) / 1000;
    expect(Number(left(lat, lon)) + Number(right(lat, lon)), `${lat} ${lon}`).toBe(1);
  }
});

test("an area over the 180° meridian is refused, and as two it holds what lies on both sides", () => {
  const fiji: Area = [
    [-21, 176],
    [-12, 176],
    [-12, -178],
    [-21, -178],
  ];
  expect(areaFault(fiji)).toMatchObject({
    what: expect.stringMatching(/longitude -?17[68] to -?17[68] spans/),
    hint: expect.stringContaining("two areas"),
  });
  const halves: readonly Area[] = [
    [
      [-21, 176],
      [-12, 176],
      [-12, 180],
      [-21, 180],
    ],
    [
      [-21, -180],
      [-12, -180],
      [-12, -178],
      [-21, -178],
    ],
  ];
  expect(halves.map(areaFault)).toEqual([null, null]);
  const isWithin = (lat: number, lon: number): boolean => halves.some((half) => areaTest(half)(lat, lon));
  expect([isWithin(-18.14, 178.44), isWithin(-16.8, -179.9), isWithin(-18, 0), isWithin(-18, 175)]).toEqual([
    true,
    true,
    false,
    false,
  ]);
  // Half the earth, by edges of 180 degrees and no more.
  const north: Area = [
    [0, -180],
    [0, 0],
    [0, 180],
    [90, 180],
    [90, 0],
    [90, -180],
  ];
  expect(areaFault(north)).toBeNull();
  expect([areaTest(north)(48, 2), areaTest(north)(-33, 151), areaTest(north)(60, -170)]).toEqual([true, false, true]);
});
