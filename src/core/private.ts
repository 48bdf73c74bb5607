// Modes of what may hold customers' data: for the user who runs Sentinel alone, unless somebody opens it to others.

/** A new file. One that is there keeps its mode: whoever changed it meant it. */
export const PRIVATE_FILE_MODE = 0o600;
/** A new folder. */
export const PRIVATE_FOLDER_MODE = 0o700;
/** What group and others may do. */
export const OTHERS_MODE = 0o077;
