/** What the screens show: signals, changed by `actions` alone. */

import { computed, effect, signal } from "@preact/signals";
import type { PreviewImage } from "../engine";
import type { Problem } from "../errors";
import { type Capability, type Caution, type Choice, choose } from "../making/capability";
import type { VideoRecord } from "../making/videos";
import type { Invitation } from "../protocol/invitation";
import type { LinkState } from "../protocol/link";
import type { Pairing } from "../protocol/pair";
import type { Installed } from "../storage/worker";

export type Route =
  | { readonly page: "library" | "videos" | "phone" }
  | { readonly page: "workflow" | "video"; readonly id: string };

/** What works right now; one thing at a time. */
export interface Activity {
  readonly kind: "install" | "job" | "make" | "send";
  /** The workflow, where one is known. */
  readonly bundleId: string | null;
  readonly title: string;
  readonly stage: "download" | "verify" | "prepare" | "self_test" | "run" | "encode" | "upload";
  readonly fraction: number | null;
  readonly step: number;
  readonly steps: number;
  readonly secondsLeft: number | null;
  readonly bytes: { readonly done: number; readonly total: number } | null;
  readonly preview: PreviewImage | null;
  readonly fellBack: boolean;
  /** Stops it, where it can be stopped. */
  readonly cancel: (() => void) | null;
}

/** A message; good ones go by themselves, others stay until they are put away. */
export interface Notice {
  readonly tone: "good" | "bad" | "plain";
  readonly text: string;
}

export type PairingStep =
  | { readonly at: "ask" }
  | { readonly at: "talk" }
  | { readonly at: "compare"; readonly code: string }
  | { readonly at: "failed"; readonly problem: Problem | null; readonly message: string };

export const ready = signal(false);
/** What keeps the app from starting, in words, and how to try again. */
export const stuck = signal<{ readonly text: string; again(): void } | null>(null);
export const route = signal<Route>({ page: "library" });
export const invitation = signal<Invitation | null>(null);
export const badInvitation = signal(false);
/** A person wants to pair although there is something here already. */
export const pairingWanted = signal(false);
export const pairing = signal<Pairing | null>(null);
export const pairingStep = signal<PairingStep>({ at: "ask" });
export const linkState = signal<LinkState>("connecting");
export const capability = signal<Capability | null>(null);
export const caution = signal<Caution>(0);
export const workflows = signal<readonly Installed[]>([]);
export const videos = signal<readonly VideoRecord[]>([]);
/** Bytes of all workflows and videos here, counted file by file. */
export const stored = signal(0);
export const activity = signal<Activity | null>(null);
export const notice = signal<Notice | null>(null);
/** `yes` once the app works without the desk, `no` where the browser will not keep it. */
export const offline = signal<"unknown" | "yes" | "no">("unknown");
/** A newer app has come and waits. */
export const updateWaiting = signal<ServiceWorker | null>(null);
/** Another tab has the storage and the desk's line. */
export const elsewhere = signal(false);

export const choice = computed<Choice | null>(() =>
  capability.value ? choose(capability.value, caution.value) : null,
);

/** Bytes that the browser would still give us, or null where it does not tell. */
export const free = computed<number | null>(() => {
  const { quota = null, usage = null } = capability.value ?? {};
  return quota === null || usage === null ? null : Math.max(0, quota - Math.max(usage, stored.value));
});

/** A new activity at its start. */
export function doing(
  kind: Activity["kind"],
  bundleId: string | null,
  title: string,
  stage: Activity["stage"],
  cancel?: () => void,
): Activity {
  return {
    kind,
    bundleId,
    title,
    stage,
    fraction: null,
    step: 0,
    steps: 0,
    secondsLeft: null,
    bytes: null,
    preview: null,
    fellBack: false,
    cancel: cancel ?? null,
  };
}

/** Change the activity that is, if one is. */
export function change(fields: Partial<Activity>): void {
  if (activity.value) activity.value = { ...activity.value, ...fields };
}

/** Resolves when nothing works: at once, or at the end of what does. */
export function whenFree(): Promise<void> {
  if (!activity.value) return Promise.resolve();
  return new Promise((resolve) => {
    const stop = activity.subscribe((now) => {
      if (now) return;
      queueMicrotask(() => stop());
      resolve();
    });
  });
}

const GOOD_NEWS_STAYS = 6_000;

effect(() => {
  const shown = notice.value;
  if (shown?.tone !== "good") return;
  const timer = setTimeout(() => {
    notice.value = null;
  }, GOOD_NEWS_STAYS);
  return () => clearTimeout(timer);
});
