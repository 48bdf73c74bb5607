// The shell: navigation, the bar with the pipeline, the theme and the person, and the page.
import type { VNode } from "preact";
import { useEffect, useErrorBoundary, useRef, useState } from "preact/hooks";
import { seen } from "./format.ts";
import { keysNow, listenToKeys, useKeys } from "./keys.ts";
import { faultOf } from "./load.ts";
import { PAGES, type Page } from "./pages.tsx";
import { FaultBox } from "./parts/basic.tsx";
import { Dialog } from "./parts/drawer.tsx";
import { Icon } from "./parts/icon.tsx";
import { Toasts } from "./parts/toast.tsx";
import { go, hrefOf, setQuery, usePlace } from "./route.ts";
import { mayAs, useDesk } from "./session.ts";
import { switchTheme, themeNow } from "./theme.ts";

export function Shell() {
  const { page, query } = usePlace();
  const { session, pipeline, pipelines, logout } = useDesk();
  const [helps, setHelps] = useState(false);
  const [, setTheme] = useState(themeNow());
  const main = useRef<HTMLElement>(null);
  const seenPages = PAGES.filter(({ need }) => mayAs(session.role, need));
  const here = seenPages.find(({ name }) => name === page) ?? seenPages[0];
  const linkTo = (one: Page): string => hrefOf(one.name, { query: { pipeline: query.pipeline } });
  useEffect(() => {
    document.title = `${here.title} · Sentinel`;
    main.current?.focus({ preventScroll: true });
  }, [here.title]);
  useEffect(
    () =>
      listenToKeys((letter) => {
        const to = PAGES.find((one) => one.letter === letter);
        if (to !== undefined) go(linkTo(to));
      }),
    [query.pipeline],
  );
  const switchNow = (): void => {
    switchTheme();
    setTheme(themeNow());
  };
  useKeys([
    { key: "?", what: "These keys", run: () => setHelps(true) },
    { key: "t", what: "Light or dark", run: switchNow },
    { key: "/", what: "Search", run: () => document.querySelector<HTMLInputElement>("input[type=search]")?.focus() },
  ]);
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the page
      </button>
      <nav class="nav" aria-label="Pages">
        <a class="brand" href={hrefOf("overview")}>
          <Icon name="shield" />
          <span>Sentinel</span>
        </a>
        <ul>
          {seenPages.map((one) => [
            one.part === undefined ? null : (
              <li key={one.part} class="part">
                {one.part}
              </li>
            ),
            <li key={one.name}>
              <a
                href={linkTo(one)}
                aria-current={one === here ? "page" : undefined}
                title={`${one.title} (g ${one.letter})`}
              >
                <Icon name={one.icon} />
                <span>{one.title}</span>
              </a>
            </li>,
          ])}
        </ul>
      </nav>
      <header class="bar">
        <h1>{here.title}</h1>
        {session.tenant === null ? null : (
          <span class="tag tenant" title={`Tenant: ${session.tenant}`}>
            {seen(session.tenant, 40)}
          </span>
        )}
        <span class="grow" />
        {pipelines.length < 2 && pipeline === "" ? null : (
          <select
            class="select"
            style={{ width: "auto", maxWidth: "200px" }}
            aria-label="Pipeline"
            value={pipeline}
            onChange={(event) => setQuery({ pipeline: event.currentTarget.value, cursor: undefined })}
          >
            <option value="">All pipelines</option>
            {pipelines.map(({ slug, name }) => (
              <option key={slug} value={slug}>
                {seen(name, 60)}
              </option>
            ))}
          </select>
        )}
        <button type="button" class="button bare" aria-label="Keys (?)" title="Keys (?)" onClick={() => setHelps(true)}>
          <Icon name="help" />
        </button>
        <button
          type="button"
          class="button bare"
          aria-label="Light or dark (t)"
          title="Light or dark (t)"
          onClick={switchNow}
        >
          <Icon name={themeNow() === "dark" ? "sun" : "moon"} />
        </button>
        <span class="who">
          <b title={session.name ?? ""}>{seen(session.name, 40)}</b>
          <span class="tag wide">{session.role}</span>
          {session.login_needed ? (
            <button type="button" class="button bare" aria-label="Log out" title="Log out" onClick={logout}>
              <Icon name="out" />
            </button>
          ) : null}
        </span>
      </header>
      <main id="page" class="page" tabIndex={-1} ref={main}>
        <Safe key={here.name}>
          <here.View />
        </Safe>
      </main>
      {helps ? <Help onClose={() => setHelps(false)} /> : null}
      <Toasts />
    </div>
  );
}

/** A page that fails says so, and the others go on. */
function Safe({ children }: { readonly children: VNode }) {
  const [error, again] = useErrorBoundary();
  return error === undefined ? children : <FaultBox fault={faultOf(error)} again={again} />;
}

function Help({ onClose }: { readonly onClose: () => void }) {
  const [keys] = useState(keysNow);
  return (
    <Dialog
      title="Keys"
      onClose={onClose}
      foot={
        <button type="button" class="button" data-first onClick={onClose}>
          Close
        </button>
      }
    >
      <dl class="help">
        {keys.map(({ key, what }) => (
          <HelpLine key={key} keys={[key]} what={what} />
        ))}
        {PAGES.map(({ name, letter, title }) => (
          <HelpLine key={name} keys={["g", letter]} what={title} />
        ))}
      </dl>
    </Dialog>
  );
}

function HelpLine({ keys, what }: { readonly keys: readonly string[]; readonly what: string }) {
  return (
    <>
      <dt>
        {keys.map((key) => (
          <span key={key}>
            <kbd>{key}</kbd>{" "}
          </span>
        ))}
      </dt>
      <dd>{what}</dd>
    </>
  );
}
