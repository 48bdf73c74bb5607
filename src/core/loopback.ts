// Loopback: addresses that nobody but this machine reaches.

/** Whether nobody but this machine reaches a host, written without brackets. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}
