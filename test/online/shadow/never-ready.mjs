// A candidate's worker that fails while it loads.
throw new Error("this candidate does not load");
