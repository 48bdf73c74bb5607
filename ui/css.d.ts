// Style sheets are imported for what they do, and say nothing to scripts.
declare module "*.css";
