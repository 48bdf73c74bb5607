// Keys and people: who may do what; a new key is shown once, and a revoked one ends its sessions.
import { useState } from "preact/hooks";
import { type Answer, get, urlOf } from "../api.ts";
import { seen } from "../format.ts";
import { useLoaded } from "../load.ts";
import { Empty, Foreign, Panel, Shown, Tag, When } from "../parts/basic.tsx";
import { Dialog } from "../parts/drawer.tsx";
import { Rows } from "../parts/list.tsx";
import { attempt, tell } from "../parts/toast.tsx";
import { useDesk } from "../session.ts";

type Key = Answer<"GET /api/keys">[number];
type Role = Key["role"];

const ROLES: readonly (readonly [role: Role, may: string])[] = [
  ["viewer", "sees pipelines, alerts, rules and figures"],
  ["analyst", "works cases, writes rules and lists"],
  ["admin", "everything: pipelines, promotions, keys"],
  ["predict", "a program that sends transactions"],
  ["label", "a program that sends labels"],
];

export function People() {
  const keys = useLoaded("keys", (signal) => get("GET /api/keys", { signal }));
  const [isMaking, setMaking] = useState(false);
  const [asked, setAsked] = useState<Key | null>(null);
  const revoke = async (key: Key): Promise<void> => {
    setAsked(null);
    if (
      await attempt(
        () => get("DELETE /api/keys/{key}", { at: { key: key.id } }),
        `The key of ${seen(key.name, 60)} opens nothing any more`,
      )
    )
      keys.again();
  };
  return (
    <>
      <div class="filters">
        <span class="grow" />
        <button type="button" class="button main" onClick={() => setMaking(true)}>
          Make a key
        </button>
      </div>
      <Panel title="Keys" flush json={urlOf("GET /api/keys")}>
        <Shown of={keys}>
          {(all) =>
            all.length === 0 ? (
              <Empty title="No keys yet">
                <span>
                  As long as there are none, whoever reaches this address may do everything. The first key closes that.
                </span>
              </Empty>
            ) : (
              <Rows
                label="Keys"
                rows={all}
                keyOf={({ id }) => id}
                columns={[
                  { name: "Name", show: ({ name }) => <Foreign text={name} max={60} />, kind: "strong" },
                  {
                    name: "Role",
                    show: ({ role }) => <Tag word={role} tone={role === "admin" ? "violet" : "blue"} />,
                    kind: "fit",
                  },
                  { name: "State", show: ({ state }) => <Tag word={state} />, kind: "fit" },
                  {
                    name: "Pipelines",
                    show: ({ pipelines }) => (
                      <Foreign text={pipelines === null ? "all" : pipelines.join(", ")} max={80} />
                    ),
                    kind: "rest",
                  },
                  {
                    name: "Made",
                    show: ({ created_at: at, created_by: by }) => (
                      <>
                        <When at={at} /> <span class="faint">by {seen(by, 40)}</span>
                      </>
                    ),
                    kind: "rest",
                  },
                  {
                    name: "Until",
                    show: ({ expires_at: at }) =>
                      at === null ? <span class="faint">for ever</span> : <When at={at} />,
                    kind: "fit rest",
                  },
                  { name: "Id", show: ({ id }) => <span class="mono faint">{id}</span>, kind: "fit rest" },
                  {
                    name: "",
                    show: (key) =>
                      key.state === "valid" ? (
                        <button type="button" class="button small danger" onClick={() => setAsked(key)}>
                          Revoke
                        </button>
                      ) : null,
                    kind: "fit",
                  },
                ]}
              />
            )
          }
        </Shown>
      </Panel>
      {isMaking ? <NewKey onClose={() => setMaking(false)} onDone={keys.again} /> : null}
      {asked === null ? null : (
        <Dialog
          title={`Revoke the key of ${seen(asked.name, 60)}?`}
          onClose={() => setAsked(null)}
          foot={
            <>
              <button type="button" class="button" data-first onClick={() => setAsked(null)}>
                Keep it
              </button>
              <button type="button" class="button danger" onClick={() => void revoke(asked)}>
                Revoke
              </button>
            </>
          }
        >
          <p>Whatever uses it is refused from then on, and its sessions end. This cannot be undone.</p>
        </Dialog>
      )}
    </>
  );
}

function NewKey({ onClose, onDone }: { readonly onClose: () => void; readonly onDone: () => void }) {
  const { pipelines, reload } = useDesk();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("analyst");
  const [days, setDays] = useState("");
  const [only, setOnly] = useState<readonly string[]>([]);
  const [made, setMade] = useState<string | null>(null);
  const make = async (event: Event): Promise<void> => {
    event.preventDefault();
    const body = {
      name,
      role,
      ...(days === "" ? {} : { days: Number(days) }),
      ...(only.length === 0 ? {} : { pipelines: only }),
    };
    await attempt(async () => setMade((await get("POST /api/keys", { body })).key), null);
  };
  const close = (): void => {
    onClose();
    onDone();
    // The first key asks everybody to log in.
    reload();
  };
  if (made !== null) {
    return (
      <Dialog
        title="The key, once"
        onClose={close}
        foot={
          <>
            <button
              type="button"
              class="button"
              onClick={() => void navigator.clipboard.writeText(made).then(() => tell("Copied"))}
            >
              Copy
            </button>
            <button type="button" class="button main" data-first onClick={close}>
              I have it
            </button>
          </>
        }
      >
        <p>Give it to {seen(name, 60)} now: what is kept here is its hash.</p>
        <code class="rule-text">{made}</code>
      </Dialog>
    );
  }
  return (
    <Dialog title="New key" onClose={onClose}>
      <form class="stack" onSubmit={(event) => void make(event)}>
        <label class="field">
          <span>For whom</span>
          <input
            class="input"
            required
            maxLength={100}
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <fieldset class="field" style={{ border: 0, margin: 0, padding: 0 }}>
          <legend>Role</legend>
          {ROLES.map(([word, may]) => (
            <label key={word} class="row">
              <input type="radio" name="role" checked={role === word} onChange={() => setRole(word)} />
              <span>
                <b>{word}</b> <span class="soft">{may}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <label class="field">
          <span>Valid for so many days (for ever when empty)</span>
          <input
            class="input short"
            type="number"
            min={1}
            max={3650}
            value={days}
            onInput={(event) => setDays(event.currentTarget.value)}
          />
        </label>
        {pipelines.length < 2 ? null : (
          <fieldset class="field" style={{ border: 0, margin: 0, padding: 0 }}>
            <legend>For these pipelines alone (all when none is chosen)</legend>
            {pipelines.map(({ slug, name: shown }) => (
              <label key={slug} class="row">
                <input
                  type="checkbox"
                  checked={only.includes(slug)}
                  onChange={(event) =>
                    setOnly(event.currentTarget.checked ? [...only, slug] : only.filter((one) => one !== slug))
                  }
                />
                <Foreign text={shown} max={60} />
              </label>
            ))}
          </fieldset>
        )}
        <footer class="row">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button main" disabled={name === ""}>
            Make the key
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
