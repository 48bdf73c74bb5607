// Who is logged in, and what that role may do: what it may not do is not shown, and the API refuses it besides.
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Answer } from "./api.ts";

export type Session = Answer<"GET /api/session">;
export type Role = "viewer" | "analyst" | "admin";

export interface Desk {
  readonly session: Session;
  /** Slug of the pipeline that pages are about; "" is all of them. */
  readonly pipeline: string;
  readonly pipelines: Answer<"GET /api/pipelines">;
  readonly logout: () => void;
  readonly reload: () => void;
}

export const DeskContext = createContext<Desk | null>(null);

export function useDesk(): Desk {
  return useContext(DeskContext)!;
}

/** By what each may do, the least first. */
const ROLES: readonly Session["role"][] = ["viewer", "analyst", "admin"];

/** Whether this role may do what needs that one; keys of programs may nothing here. */
export function mayAs(role: Session["role"], need: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(need);
}

/** Whether the person may do what needs this role. */
export function useMay(need: Role): boolean {
  return mayAs(useDesk().session.role, need);
}
