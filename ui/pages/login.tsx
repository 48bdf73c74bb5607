// The login: by the identity provider where there is one, or by a key, once; what stays in the browser is a cookie that no script reads.
import { useState } from "preact/hooks";
import { type Fault, get, urlOf } from "../api.ts";
import { seen } from "../format.ts";
import { faultOf } from "../load.ts";
import { FaultBox } from "../parts/basic.tsx";
import { Icon } from "../parts/icon.tsx";

export interface LoginProps {
  /** What the identity provider's button says; null: there is none. */
  readonly provider: string | null;
  readonly onDone: () => void;
}

export function Login({ provider, onDone }: LoginProps) {
  const [key, setKey] = useState("");
  const [fault, setFault] = useState<Fault | null>(null);
  const [busy, setBusy] = useState(false);
  const login = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      await get("POST /api/session", { body: { key } });
      setKey("");
      onDone();
    } catch (error) {
      setFault(faultOf(error));
      setBusy(false);
    }
  };
  return (
    <main class="login">
      <form onSubmit={(event) => void login(event)}>
        <div class="brand">
          <Icon name="shield" />
          <h1>Sentinel</h1>
        </div>
        {provider === null ? null : (
          <>
            <a class="button main" href={urlOf("GET /api/session/oidc", { query: { to: location.hash } })}>
              Log in by {seen(provider, 60)}
            </a>
            <p class="or">or</p>
          </>
        )}
        <p class="soft">Log in with the key that you were given. It is not kept in this browser.</p>
        <label class="field">
          <span>Key</span>
          <input
            class="input mono"
            type="password"
            name="key"
            autocomplete="current-password"
            required
            maxLength={200}
            value={key}
            onInput={(event) => setKey(event.currentTarget.value)}
          />
        </label>
        {fault === null ? null : <FaultBox fault={fault} />}
        <button type="submit" class={provider === null ? "button main" : "button"} disabled={busy || key === ""}>
          {provider === null ? "Log in" : "Log in by key"}
        </button>
        <p class="faint">
          No key yet? Who runs this server makes one: <code>sentinel keys add --role analyst --name you</code>
        </p>
      </form>
    </main>
  );
}
