// The desk: who is logged in, else the login; then the shell with the page that the address names.
import { useCallback, useEffect, useState } from "preact/hooks";
import { type Answer, type Fault, get, whenLoggedOut } from "./api.ts";
import { faultOf } from "./load.ts";
import { Login } from "./pages/login.tsx";
import { FaultBox } from "./parts/basic.tsx";
import { usePlace } from "./route.ts";
import { DeskContext, type Desk as DeskState } from "./session.ts";
import { Shell } from "./shell.tsx";

type Who = Answer<"GET /api/session">;

export function Desk() {
  const [who, setWho] = useState<Who | null>(null);
  const [fault, setFault] = useState<Fault | null>(null);
  const [pipelines, setPipelines] = useState<DeskState["pipelines"]>([]);
  const { query } = usePlace();
  const reload = useCallback(() => {
    void (async () => {
      try {
        const session = await get("GET /api/session");
        if (session.signed_in) setPipelines(await get("GET /api/pipelines"));
        setWho(session);
        setFault(null);
      } catch (error) {
        setFault(faultOf(error));
      }
    })();
  }, []);
  useEffect(() => {
    whenLoggedOut(reload);
    reload();
  }, [reload]);
  const logout = useCallback(() => {
    // The provider's own session ends there, if its page is asked.
    void get("DELETE /api/session").then(({ leave }) => (leave === null ? reload() : location.assign(leave)), reload);
  }, [reload]);
  if (who === null) {
    return (
      <main class="login">
        {fault === null ? <p class="spin">Loading…</p> : <FaultBox fault={fault} again={reload} />}
      </main>
    );
  }
  if (!who.signed_in) return <Login provider={who.provider} onDone={reload} />;
  const desk: DeskState = { session: who, pipeline: query.pipeline ?? "", pipelines, logout, reload };
  return (
    <DeskContext.Provider value={desk}>
      <Shell />
    </DeskContext.Provider>
  );
}
