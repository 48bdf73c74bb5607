// Property tests draw from one seed, so that a run says the same of the same code; FAST_CHECK_SEED explores another.
import fc from "fast-check";

fc.configureGlobal({ seed: Number(process.env.FAST_CHECK_SEED ?? 20_260_101) });

// Which group runs is no setting of Sentinel: the commands that tests start would warn of a variable that nobody reads.
delete process.env.SENTINEL_TESTS;
