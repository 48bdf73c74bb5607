// Rollout: which entities a rule decides for, by a stable hash; whoever is in at a share stays in at every larger one.

/** Where an entity stands for a rule, in [0, 1): FNV-1a of both names, mixed by Murmur3's last step so that near names stand far apart. */
export function placeInRollout(rule: string, entity: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < rule.length; i++) hash = Math.imul(hash ^ rule.charCodeAt(i), 0x01000193);
  // A sign that no id has, between the two.
  hash = Math.imul(hash ^ 0x1f, 0x01000193);
  for (let i = 0; i < entity.length; i++) hash = Math.imul(hash ^ entity.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** Whether a rule in rollout decides for the entity. */
export function isInRollout(rule: { readonly id: string; readonly share: number }, entity: string): boolean {
  return placeInRollout(rule.id, entity) < rule.share;
}
