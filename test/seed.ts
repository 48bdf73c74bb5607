// What every test file begins with: one seed for what property tests draw (FAST_CHECK_SEED explores another), and commands that train on one thread.
import fc from "fast-check";

fc.configureGlobal({ seed: Number(process.env.FAST_CHECK_SEED ?? 20_260_101) });

// Which group runs is no setting of Sentinel: the commands that tests start would warn of a variable that nobody reads.
delete process.env.SENTINEL_TESTS;

// The other cores have other tests: a second thread takes half a second to start and changes no bit of the bundle. The journeys of the package, of
// the same bundle and of the threads themselves have several.
process.env.SENTINEL_THREADS ??= "1";

// Python's libraries in .cache are compiled once, not at every start: some environments say that nothing compiled may be written, and there the
// largest of them compiled for ten seconds of a core before each test's first answer.
delete process.env.PYTHONDONTWRITEBYTECODE;
