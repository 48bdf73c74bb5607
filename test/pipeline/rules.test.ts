// The rules file: areas, lists and rules as they are written, and what is wrong with them by line.
import { expect, test } from "vitest";
import { areaTest } from "../../src/core/place.ts";
import { parseRulesFile } from "../../src/pipeline/rules.ts";

const read = (text: string) => parseRulesFile(text, "card.rules.yaml").value;

test("areas are corners as [latitude, longitude]", () => {
  const { areas } = read(`
areas:
  paris: [[48.8, 2.2], [48.95, 2.2], [48.95, 2.5], [48.8, 2.5]]
  delta:
    - [29, 30]
    - [29, 32]
    - [31.5, 31]
`);
  expect(Object.keys(areas)).toEqual(["paris", "delta"]);
  const [paris, delta] = [areaTest(areas.paris), areaTest(areas.delta)];
  expect([paris(48.8566, 2.3522), paris(2.3522, 48.8566), paris(48.8566, -2.3522)]).toEqual([true, false, false]);
  expect([delta(30, 31), delta(31, 30.1), delta(31, 31.9)]).toEqual([true, false, false]);
});

test.each([
  [
    "over the 180° meridian",
    "fiji: [[-21, 176], [-12, 176], [-12, -178], [-21, -178]]",
    /line 2.*spans more than 180/s,
    /two areas/,
  ],
  [
    "a latitude that is none",
    "a: [[91, 2], [48, 2], [48, 3]]",
    /line 2.*\[91, 2\] is no place/s,
    /latitude, longitude/,
  ],
  [
    "longitudes from 0 to 360",
    "a: [[10, 190], [20, 190], [20, 200]]",
    /line 2.*\[10, 190\] is no place/s,
    /-180 to 180/,
  ],
  ["two corners", "a: [[10, 10], [20, 20]]", /line 2/, /./],
  ["a corner of one number", "a: [[10], [20, 20], [30, 30]]", /line 2/, /./],
  ["a name that no condition could ask", "'a b': [[10, 10], [20, 20], [30, 10]]", /line [12]/, /./],
])("refused: %s", (_, area, message, hint) => {
  try {
    read(`areas:\n  ${area}\n`);
    expect.unreachable();
  } catch (error) {
    expect(error).toMatchObject({
      code: "pipeline.invalid",
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    });
  }
});
