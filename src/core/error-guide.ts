// The error guide: what each error code means and what to do about it; docs/troubleshooting.md is made from it.
import type { ErrorCode } from "./errors.ts";

export interface ErrorAdvice {
  /** One sentence, without a full stop. */
  readonly meaning: string;
  readonly todo: string;
}

/** Every code once. The message of an error names the case; this is what all cases of a code share. */
export const ERROR_GUIDE: Readonly<Record<ErrorCode, ErrorAdvice>> = {
  "archive.foreign": {
    meaning:
      "The archive holds more of this prediction log than the log itself: the log was put back from an older copy",
    todo: "Archive to another place from now on (`archive.to`, `SENTINEL_ARCHIVE_URL`); both places can be read together.",
  },
  "archive.unreachable": {
    meaning: "The object store of an archive or a table did not answer, also not when it was asked again",
    todo: "Nothing is lost: what is not archived stays in the prediction log and is tried again. See that the store is up and `AWS_ENDPOINT_URL_S3` right.",
  },
  "archive.unreadable": {
    meaning: "A file of an archive, or an object, is gone, damaged or may not be read",
    todo: "Run the command again: a compaction may have replaced the file meanwhile. Else put it back from a copy.",
  },
  "archive.unwritable": {
    meaning: "An archive's folder or bucket takes no files: it is full, missing, or this user may not write",
    todo: "Make room, or correct the permissions; the archive goes on by itself, and until then the prediction log keeps everything.",
  },
  "bug.unexpected": {
    meaning: "Sentinel met a case that its authors did not think of",
    todo: "Report it, with the stack that was printed or logged and the command or request that caused it.",
  },
  "bundle.corrupt": {
    meaning:
      "A bundle's files contradict each other, or this machine does not reproduce the scores it was registered with",
    todo: "Do not serve it. Check the registry with `sentinel registry verify`; train again.",
  },
  "bundle.unsupported": {
    meaning: "A bundle was written by a version of Sentinel whose format this one does not read",
    todo: "Use the version that trained the model, or train again.",
  },
  "cases.claimed": {
    meaning: "Somebody else works the case, or it is assigned to somebody else",
    todo: "Take the next of the queue; a claim ends by itself after `cases.claim`, and an admin may take a case over.",
  },
  "cases.four-eyes": {
    meaning: "Whoever proposed how a case ends may not confirm it (`cases.four_eyes`)",
    todo: "Let another person confirm it, with a key of their own.",
  },
  "cases.state": {
    meaning: "A case is not in a state in which this can be done: it is closed, or awaits a second person",
    todo: "Read the case again; a closed one can be reopened with a reason.",
  },
  "cli.output-lost": {
    meaning: "The work was done, and its answer could not be written to standard output",
    todo: "Check the disk or the program that reads; `--out` writes results into files.",
  },
  "cli.usage": {
    meaning: "The command line has an unknown verb, option or value",
    todo: "See `sentinel --help` and [the commands](cli.md).",
  },
  "config.invalid": {
    meaning: "An environment variable has a wrong value, or is misspelt",
    todo: "Correct or unset the variable that the message names; [configuration](configuration.md) lists them.",
  },
  "dataset.columns-missing": {
    meaning: "A table lacks a column that the pipeline, a feature or a check needs",
    todo: "Rename the column in the file, or add the name that the file has below `aliases` in the pipeline.",
  },
  "dataset.empty": {
    meaning: "A table has no rows, or no columns",
    todo: "Check the path and how the file was made.",
  },
  "dataset.format-unknown": {
    meaning: "The ending of a file names no format that Sentinel reads or writes",
    todo: "Use CSV, Parquet or NDJSON, with the ending that says so.",
  },
  "dataset.missing": {
    meaning: "There is no such file",
    todo: "Check the path; the hint shows where it was looked for.",
  },
  "dataset.too-large": {
    meaning: "A table has more rows or bytes than one reading may take",
    todo: "Split the file by time, or read fewer columns.",
  },
  "dataset.type-wrong": {
    meaning:
      "A column holds something other than it must: text among numbers, no time, a label that is neither 0 nor 1, an id twice",
    todo: "Fix the row that the message names, in the file or where it is made.",
  },
  "dataset.unreadable": {
    meaning: "A file is not what its ending says, is damaged, or may not be opened",
    todo: "Write it again as UTF-8 CSV, Parquet or NDJSON; check who may read it.",
  },
  "dataset.unwritable": {
    meaning: "A table cannot be written there",
    todo: "Name a file in a folder that exists, that you may write to and that has space left.",
  },
  "drift.reference-missing": {
    meaning: "The champion's reference distributions are missing or do not fit the window",
    todo: "Train again: the reference is part of the bundle.",
  },
  "engine.failed": {
    meaning: "An engine beside this machine, such as Spark, ended before its work was done",
    todo: "Read what the message and the engine's own log say; [Spark](spark.md) says what to watch.",
  },
  "engine.unreachable": {
    meaning: "The engine cannot be started or reached",
    todo: "Check --master and SENTINEL_SPARK_PYTHON; [Spark](spark.md) says what must be installed where.",
  },
  "evidence.input-invalid": {
    meaning:
      "Two models cannot be compared: their scores, labels and cards are not of the same rows, or are no numbers",
    todo: "Give finite scores of both models for the same labelled rows.",
  },
  "expression.invalid": {
    meaning: "An SQL expression has a fault, at the place that the message names",
    todo: "Correct it there; [expressions](expressions.md) lists what works.",
  },
  "features.limit": {
    meaning: "A feature spec has more features, keys or windows than a state may hold",
    todo: "Drop features, or split the spec into two pipelines.",
  },
  "features.spec-invalid": {
    meaning: "A feature definition has a fault",
    todo: "Correct the feature that the message names; [features](features.md) is the contract.",
  },
  "features.spec-missing": {
    meaning: "The pipeline names a feature file or export that is not there",
    todo: "Write it, or correct `features` in the pipeline.",
  },
  "keys.limit": {
    meaning: "There are as many valid keys as there may be",
    todo: "Revoke those that nobody uses: `sentinel keys revoke`.",
  },
  "keys.name": {
    meaning: "A key cannot have this name: it is that of a person who logs in by an identity provider",
    todo: "Name the key after the program or the team that uses it.",
  },
  "keys.unknown": {
    meaning: "No key has this id",
    todo: "See `sentinel keys list`.",
  },
  "labels.invalid": {
    meaning: "A label has no clear value, or is known before its transaction happened",
    todo: "Send 1 or 0 (true or false), and the time at which the label became known, or leave the time out.",
  },
  "lifecycle.cannot-continue": {
    meaning: "The champion is no model that trees can be added to: it reads other features, or was not trained here",
    todo: "Train in full: `sentinel retrain` without `--continue`.",
  },
  "lifecycle.columns-unknown": {
    meaning: "The columns of an imported model cannot be matched with the pipeline's features",
    todo: "Name the features as the model does, or give the order of its columns; see [importing models](import.md).",
  },
  "lifecycle.locked": {
    meaning: "Another process works on the same model, log or workspace",
    todo: "Wait until it has ended; the message names the process. A running server takes labels by `--url`.",
  },
  "lifecycle.no-candidate": {
    meaning: "There is no candidate to compare, explain or promote",
    todo: "Train one with `sentinel train`, or name a version.",
  },
  "lifecycle.no-champion": {
    meaning: "There is no champion to compare with, to watch or to show",
    todo: "Promote one: `sentinel train`, then `sentinel promote`.",
  },
  "lifecycle.not-enough-data": {
    meaning: "Too few days or rows are left to train, evaluate, compare or monitor on",
    todo: "Give a longer or newer table, or shorten `split` in the pipeline.",
  },
  "login.invalid": {
    meaning:
      "A login by the identity provider did not hold: it was begun in another browser, too long ago or already ended, or what the provider signed is not for this server and this moment",
    todo: "Begin again at the login page. If it happens each time, compare `login.yaml` with the provider: `issuer`, `client_id`, `url`, `audiences`, and both clocks.",
  },
  "login.refused": {
    meaning: "The identity provider said no, or the person has none of the roles that `login.yaml` maps",
    todo: "Give the person a group that `roles` of `login.yaml` names, or name one that they have; see that `scopes` ask for the claim.",
  },
  "login.unreachable": {
    meaning: "The identity provider is away, or does not take this server as a client",
    todo: "Log in with a key meanwhile. Compare `issuer`, `client_id`, `client_secret_from` and `client_auth` of `login.yaml` with the provider.",
  },
  "log.unreadable": {
    meaning: "The prediction log is damaged, of another format, or a file of another program",
    todo: "Restore it from a backup, or move it away: a new one is made.",
  },
  "log.unwritable": {
    meaning: "The prediction log cannot be written",
    todo: "Check that the disk has space and that `models/state/` may be written to; with `SENTINEL_DATABASE_URL`, that PostgreSQL answers.",
  },
  "ml.kernel-unusable": {
    meaning: "A compiled part of the learner cannot be loaded",
    todo: "Use Node 20 or newer with WebAssembly on; install Sentinel again, or run `npm run build` in a clone.",
  },
  "ml.memory-short": {
    meaning: "A training needs more memory in one piece than the machine gives",
    todo: "Use fewer rows, columns or leaves, or a machine with more memory.",
  },
  "ml.model-invalid": {
    meaning: "The file of an imported model is damaged, or answers no probability",
    todo: "Save the model again with the library that trained it.",
  },
  "ml.model-unsupported": {
    meaning: "An imported model uses something that Sentinel does not score",
    todo: "See [importing models](import.md) for what is read; train without it, or export as ONNX.",
  },
  "ml.not-explainable": {
    meaning: "The model is no ensemble of trees, so no reasons can be computed",
    todo: "Explain by another version, or import the model as XGBoost or LightGBM wrote it.",
  },
  "ml.one-class": {
    meaning: "Rows to learn or to calibrate on hold frauds only, or none",
    todo: "Check the label column; give a period with both classes whose labels are mature.",
  },
  "ml.parameter-invalid": {
    meaning: "A parameter of the learner, or a value that it is given, is out of range",
    todo: "Set it to what the message asks for, below `model_parameters` in the pipeline.",
  },
  "ml.runtime-missing": {
    meaning: "An imported ONNX graph needs `onnxruntime-node`, which is not installed",
    todo: "Install it beside Sentinel: `ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node`.",
  },
  "pipeline.exists": {
    meaning: "A running server holds a pipeline of that name already",
    todo: "Give the new one another name, or replace the one that is there.",
  },
  "pipeline.limit": {
    meaning: "A server holds as many pipelines as it may",
    todo: "Remove one that is not used, or start another server for the rest.",
  },
  "pipeline.invalid": {
    meaning: "A pipeline file, or the JSON Schema that it names, has a fault",
    todo: "Correct the key or line that the message names; [configuration](configuration.md) lists every key.",
  },
  "pipeline.missing": {
    meaning: "The workspace has no such pipeline",
    todo: "Name one with `--pipeline`, another folder with `--workspace`, or make a workspace with `sentinel init`.",
  },
  "pipeline.paused": {
    meaning: "Somebody paused the pipeline, so that it answers no transactions",
    todo: "Keep the transactions and send them again once it is active; `PATCH /api/pipelines/{id}/status` resumes it.",
  },
  "pipeline.schema": {
    meaning: "A change of a pipeline's schema would make what is known of the past wrong",
    todo: "Add nullable fields only; for anything else make another pipeline.",
  },
  "pipeline.stopped": {
    meaning: "Somebody stopped the pipeline, so that it answers no transactions",
    todo: "Send transactions elsewhere, or start it again with `PATCH /api/pipelines/{id}/status`.",
  },
  "quality.suite-invalid": {
    meaning: "An expectation suite has a fault",
    todo: "Correct the expectation that the message names; [data quality](quality.md) lists them.",
  },
  "registry.conflict": {
    meaning: "The registry holds something else under this name, or another process changed it at the same time",
    todo: "Run the command again; if it fails again, look at what the message names.",
  },
  "registry.corrupt": {
    meaning: "A file of the registry is not the one that was registered, or a part of it was deleted",
    todo: "See all damage with `sentinel registry verify`; restore a backup, or train again.",
  },
  "registry.invalid": {
    meaning: "The registry refuses a name, a value or a size",
    todo: "Change what the message names.",
  },
  "registry.missing": {
    meaning: "The registry, or a run or model in it, is not there",
    todo: "Restore or mount it; `sentinel registry list` shows what is there.",
  },
  "registry.no-bundle": {
    meaning: "A version was not registered by Sentinel, so nothing says what its files must be",
    todo: "Bring the model in with `sentinel import`, which makes a bundle of it, or train one.",
  },
  "registry.unreachable": {
    meaning: "The MLflow server does not answer, or its files are out of reach",
    todo: "Check `MLFLOW_TRACKING_URI` and the server; `sentinel doctor` asks it.",
  },
  "registry.unwritable": {
    meaning: "The registry's folder cannot be written to",
    todo: "Check that it may be written to and has space left.",
  },
  "registry.version-unknown": {
    meaning: "The registry has no such version, or it is not the bundle that is meant",
    todo: "`sentinel registry list` shows the versions there are.",
  },
  "request.body-too-large": {
    meaning: "A request has more bytes, transactions or lines than the server takes at once",
    todo: "Send less at once; `serve.body_max_bytes` and `serve.batch_max` in the pipeline are the limits.",
  },
  "request.changed": {
    meaning: "What a request would change was changed by somebody else since it was read",
    todo: "Read it again, look at what changed, and send the change with the new ETag if it is still wanted.",
  },
  "request.cross-site": {
    meaning:
      "A browser sent a change that the page of another site or port began, or that did not come from the dashboard's own page",
    todo: "Use the dashboard itself; programs send a key with `Authorization: Bearer KEY`. Behind a proxy, see that it passes the `Host` header on.",
  },
  "request.duplicate": {
    meaning: "A transaction id was answered before, with other content",
    todo: "Give every transaction an id of its own; the same content again gets the same answer.",
  },
  "request.expectation": {
    meaning: "A request expects of the server what it does not do",
    todo: "Send `Expect: 100-continue`, or no Expect header.",
  },
  "request.head-too-large": {
    meaning: "The headers of a request are larger than 16 KB",
    todo: "Send fewer or shorter headers.",
  },
  "request.invalid": {
    meaning: "A transaction does not fit the pipeline's schema",
    todo: "Correct the fields that `errors` lists; `/openapi.json` has the schema.",
  },
  "request.malformed": {
    meaning: "A body is no JSON, no UTF-8, or ended too early",
    todo: "Send complete JSON in UTF-8.",
  },
  "request.media-type": {
    meaning: "A body has a Content-Type that the route does not take",
    todo: "Send the type that the hint names.",
  },
  "request.method": {
    meaning: "The route does not take this method",
    todo: "Use a method of the `Allow` header.",
  },
  "request.not-found": {
    meaning: "There is no such route, or no answer was given to a transaction of this id",
    todo: "Check the path and the id; `/openapi.json` lists the routes.",
  },
  "request.too-slow": {
    meaning: "A body, a line of a stream or the head of a request came too slowly",
    todo: "Send again, faster; an empty line now and then keeps a stream open.",
  },
  "request.unconditional": {
    meaning: "A request changes what others may be changing, and does not say which version it was made from",
    todo: "Send the ETag of what you read as If-Match, or `If-Match: *` to change it whatever it is now.",
  },
  "rules.conflict": {
    meaning: "Somebody else changed the rules between reading and writing",
    todo: "Look at the rules as they are now, and make the change again if it is still wanted.",
  },
  "rules.four-eyes": {
    meaning: "The pipeline asks for a second person, and who wrote a rule wants to make it live",
    todo: "Let somebody else make the rule live, with a key of their own.",
  },
  "rules.invalid": {
    meaning: "A rule, a list or an area is not as docs/rules.md says",
    todo: "Correct the place that the message names; the hint says what to write instead.",
  },
  "rules.unknown": {
    meaning: "There is no such rule, list or rule set",
    todo: "See `sentinel rules list` and `sentinel lists`.",
  },
  "rules.unreadable": {
    meaning: "The stored rules cannot be read, or are not what their hash says",
    todo: "Put the folder that the message names back from a backup; servers go on with the last rules that they know.",
  },
  "schemas.invalid": {
    meaning: "An Avro schema cannot be used, or may not follow the last one of its topic",
    todo: "Add fields with a default and keep the types of those that are there; `sentinel stream --check --schema FILE` says what stands in the way.",
  },
  "schemas.unreachable": {
    meaning: "The schema registry did not answer, or answers something else than Confluent's routes do",
    todo: "Check `SENTINEL_SCHEMA_REGISTRY_URL` and that server; a stream tries again by itself.",
  },
  "server.chaos": {
    meaning: "The server was told to fail a share of its answers (`--chaos-fail`)",
    todo: "Send again; or start the server without it.",
  },
  "server.key-missing": {
    meaning: "A request came without a valid key",
    todo: "Send `Authorization: Bearer KEY`; `sentinel keys add` makes a key, `SENTINEL_ADMIN_KEY` is one.",
  },
  "server.key-role": {
    meaning: "The key of a request is for another role",
    todo: "Use a key that was made for this: `sentinel keys add --role …`.",
  },
  "server.keys-needed": {
    meaning: "The server would be reached from outside, and no key exists",
    todo: "Make a key with `sentinel keys add`, listen on 127.0.0.1, or say `--insecure`.",
  },
  "server.not-ready": {
    meaning: "The server has no champion yet, its feature state is not warm, or the pipeline cannot be opened",
    todo: "Promote a model, or repair what the message names; it comes up by itself, and `/readyz` says when.",
  },
  "server.overloaded": {
    meaning: "More requests wait than the server can answer in time",
    todo: "Send again after `Retry-After` seconds, or add servers.",
  },
  "server.port-in-use": {
    meaning: "The server cannot listen on this address",
    todo: "Name another with `--port` or `--host`, or stop what holds it.",
  },
  "server.rate-limited": {
    meaning: "A key was used more often than its rate allows",
    todo: "Send again after `Retry-After` seconds, or use a key with a higher rate.",
  },
  "server.too-slow": {
    meaning: "An answer was not there within its time",
    todo: "Send again: the same id gets the answer that was given meanwhile.",
  },
  "state.behind": {
    meaning: "A feature state cannot catch up with the traffic, or lacks a change that is in no log yet",
    todo: "It is tried again. If it stays, start the server in a quieter hour, or train on newer data.",
  },
  "state.contended": {
    meaning: "Too many transactions change the same keys of the shared feature state at once",
    todo: "Send the transaction again; send fewer at a time, or through fewer servers.",
  },
  "state.corrupt": {
    meaning: "A feature state's snapshot, or a key of the shared one, cannot be read",
    todo: "Remove the snapshot that the message names: it is rebuilt from the training's and the log.",
  },
  "state.foreign": {
    meaning: "The Redis database holds the feature state of another workspace",
    todo: "Give each workspace a database of its own.",
  },
  "state.unreachable": {
    meaning: "Redis does not answer",
    todo: "Check `SENTINEL_REDIS_URL` and that server; Sentinel connects again by itself once it is back.",
  },
  "stream.invalid": {
    meaning:
      "A stream cannot be read as it is set up: positions and input do not fit, or several consumers would each have a state of their own",
    todo: "Follow the message; [streams](streams.md) says what fits together.",
  },
  "stream.missing": {
    meaning: "A topic, file or folder of a stream is not there",
    todo: "Create it, or name another one below `stream` in the pipeline; `sentinel stream --create` makes the topics that are written.",
  },
  "stream.taken-over": {
    meaning: "Another process of the same group and pipeline began to write",
    todo: "Let one process consume where the feature state is its own; for several set `SENTINEL_REDIS_URL` and `stream.consumers: several`.",
  },
  "stream.unreachable": {
    meaning: "The broker, or the disk that holds a stream's files, did not answer in time or went away",
    todo: "It is tried again with growing pauses. Check the broker and `SENTINEL_KAFKA_BROKERS`.",
  },
  "stream.unsupported": {
    meaning: "A record cannot be read or written: an unknown compression, or larger than the topic allows",
    todo: "Let producers use gzip or no compression; raise the topic's `max.message.bytes`.",
  },
  "store.conflict": {
    meaning: "A name that must be unique in the store is taken",
    todo: "Take another name; for a pipeline file, rename the file.",
  },
  "store.invalid": {
    meaning: "Something that the store was given or asked breaks one of its limits, or is a cursor of another question",
    todo: "Correct what the message names. Begin a list without a cursor, then give `next` of the page before.",
  },
  "store.limit": {
    meaning: "The store holds as many of these as it may",
    todo: "Remove what nobody needs; the message says how many there may be.",
  },
  "store.schema-new": {
    meaning: "A newer version of Sentinel has migrated the store",
    todo: "Use that version or a newer one: migrations never go back.",
  },
  "store.schema-old": {
    meaning: "The store on PostgreSQL has the tables of an earlier version",
    todo: "Run `sentinel db migrate` once, with the same `SENTINEL_DATABASE_URL`, then start again.",
  },
  "store.stale": {
    meaning: "The record was changed by somebody else since it was read",
    todo: "Read it again, and repeat the change if it is still wanted.",
  },
  "store.unknown": {
    meaning: "The store has no such record",
    todo: "List the records to see which there are.",
  },
  "store.unreachable": {
    meaning: "The database of the store does not answer",
    todo: "Check `SENTINEL_DATABASE_URL` and that server. What serves goes on with the rules that it read last, and reads again once the server is back.",
  },
  "store.unreadable": {
    meaning: "The store's file or tables are not what they should be",
    todo: "Restore the store from a backup; an embedded one that is moved away is made anew.",
  },
  "store.unwritable": {
    meaning: "A change of the store could not be written",
    todo: "Check free space and permissions, then repeat the change: nothing of it was written.",
  },
  "tenant.exists": {
    meaning: "There is, or was, a tenant of this name",
    todo: "Take another name: the name of a removed tenant is not given again.",
  },
  "tenant.invalid": {
    meaning: "A text names no tenant, or a tenant's limits are none",
    todo: "Use lower-case letters, digits and -; `sentinel tenants list` shows the tenants.",
  },
  "tenant.limit": {
    meaning: "The tenant has as many of these as it may, or the store as many tenants",
    todo: "Remove what nobody needs, or ask whoever runs the server for more: `sentinel tenants set NAME`.",
  },
  "tenant.missing": {
    meaning: "There is no such tenant, or it was removed",
    todo: "`sentinel tenants list` shows the tenants; `sentinel tenants add NAME` makes one.",
  },
  "workspace.not-empty": {
    meaning: "A folder that must be empty holds files",
    todo: "Name an empty or new folder.",
  },
  "workspace.unwritable": {
    meaning: "Results cannot be written there",
    todo: "Name a file or folder that you may write to.",
  },
};
