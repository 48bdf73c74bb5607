// CloudEvents 1.0 in structured JSON: what Sentinel tells other programs, whatever carries it.

/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md and its JSON format. */
export interface CloudEvent<Type extends string = string, Data = unknown> {
  readonly specversion: "1.0";
  /** The same happening has the same id, so that a receiver can leave out what came twice. */
  readonly id: string;
  readonly source: string;
  readonly type: Type;
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: "application/json";
  readonly data: Data;
}

export const CLOUD_EVENT_MEDIA_TYPE = "application/cloudevents+json; charset=utf-8";

/** What a receiver's status means: taken, worth another try, or refused for good. 408, 429 and 5xx are worth another try. */
export function receiptOf(status: number): "taken" | "again" | "refused" {
  if (status >= 200 && status < 300) return "taken";
  return status === 408 || status === 429 || status >= 500 ? "again" : "refused";
}
