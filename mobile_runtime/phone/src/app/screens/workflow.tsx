/** One workflow: its inputs, Generate, the video as it comes, and the newest one. */

import { useEffect, useState } from "preact/hooks";
import type { InputValue } from "../../engine";
import { type Input, type Manifest, promptsOf } from "../../storage/manifest";
import type { Installed } from "../../storage/worker";
import { bytes } from "../format";
import { back } from "../navigate";
import { Ask } from "../parts/ask";
import { Icon } from "../parts/icons";
import { Field } from "../parts/inputs";
import { Preview } from "../parts/picture";
import { Player, VideoActions } from "../parts/player";
import { Progress } from "../parts/progress";
import { picture, removeWorkflow } from "../shelf";
import * as state from "../state";
import { make } from "../studio";
import { t } from "../words";
import { Thumbnail } from "./library";

type Draft = Readonly<Record<string, InputValue>>;

/** What was typed, while the app is open, and settings that are to be used again. */
export const drafts = new Map<string, Draft>();

export function WorkflowScreen({ id }: { id: string }) {
  const installed = state.workflows.value.find((one) => one.bundleId === id);
  if (installed) return <Workflow installed={installed} />;
  return (
    <main>
      <Bar title="" />
      <div class="empty">
        <p>{t("workflow_missing")}</p>
      </div>
    </main>
  );
}

function Workflow({ installed }: { installed: Installed }) {
  const { bundleId, manifest } = installed;
  const inputs = Object.entries(manifest.inputs);
  const defaults: Draft = Object.fromEntries(inputs.map(([name, input]) => [name, input.default]));
  const [values, setValues] = useState<Draft>({ ...defaults, ...drafts.get(bundleId) });
  const [asking, setAsking] = useState(false);
  const own = useOwnPhoto(installed);
  const activity = state.activity.value;
  const mine = activity?.bundleId === bundleId ? activity : null;
  const change = (name: string, value: InputValue) => {
    const next = { ...values, [name]: value };
    drafts.set(bundleId, next);
    setValues(next);
  };
  return (
    <form
      class="screen"
      onSubmit={(event) => {
        event.preventDefault();
        // The preview is up there.
        event.currentTarget.querySelector("main")?.scrollTo({ top: 0 });
        void make(installed, complete(values, manifest.inputs));
      }}
    >
      <main>
        <Bar title={manifest.name}>
          <button type="button" class="round" aria-label={t("remove")} onClick={() => setAsking(true)}>
            <Icon name="trash" />
          </button>
        </Bar>
        <Stage installed={installed} />
        <div class="inputs">
          {order(manifest).map(([name, input]) => (
            <Field
              key={name}
              name={name}
              input={input}
              value={values[name] ?? input.default}
              own={own}
              onChange={(value) => change(name, value)}
            />
          ))}
        </div>
        <p class="faint center-line">{t("workflow_size", { size: bytes(installed.bytes) })}</p>
      </main>
      <footer class="actions">
        {mine ? (
          <Progress activity={mine} />
        ) : (
          <button type="submit" class="primary" disabled={activity !== null}>
            <Icon name="spark" />
            {t(activity ? "generate_other" : "generate")}
          </button>
        )}
      </footer>
      {asking && (
        <Ask
          title={t("workflow_delete")}
          hint={t("workflow_delete_hint", { size: bytes(installed.bytes) })}
          yes={t("remove")}
          onYes={() => {
            drafts.delete(bundleId);
            back();
            void removeWorkflow(bundleId);
          }}
          onClose={() => setAsking(false)}
        />
      )}
    </form>
  );
}

/** The video as the network now sees it, else the newest one, else the workflow's picture. */
function Stage({ installed }: { installed: Installed }) {
  const { bundleId } = installed;
  const activity = state.activity.value;
  const newest = state.videos.value.find((video) => video.bundleId === bundleId);
  if (activity?.bundleId === bundleId && activity.kind !== "send") {
    return (
      <div class="stage working">
        {activity.preview ? (
          <Preview image={activity.preview} label={t("preview")} />
        ) : (
          <Thumbnail installed={installed} />
        )}
      </div>
    );
  }
  if (!newest) {
    return (
      <div class="stage">
        <Thumbnail installed={installed} />
      </div>
    );
  }
  return (
    <>
      <div class="stage">
        <Player key={newest.id} record={newest} />
      </div>
      <VideoActions key={`actions-${newest.id}`} record={newest} />
    </>
  );
}

export function Bar({ title, children }: { title: string; children?: preact.ComponentChildren }) {
  return (
    <header class="topbar">
      <button type="button" class="round" aria-label={t("back")} onClick={back}>
        <Icon name="back" />
      </button>
      <h1>{title}</h1>
      {children}
    </header>
  );
}

/** What a person changes most comes first: the photo, what should happen, the seed, then the numbers. */
function order(manifest: Manifest): [string, Input][] {
  const { unwanted } = promptsOf(manifest);
  const rank = ([name, input]: [string, Input]) =>
    name === unwanted ? 5 : { image: 0, text: 1, seed: 2, integer: 3, number: 4 }[input.type];
  return Object.entries(manifest.inputs).sort((first, second) => rank(first) - rank(second));
}

/** What goes to the engine: an empty seed is 0, and a picture of the workflow's own is left to it. */
function complete(values: Draft, inputs: Readonly<Record<string, Input>>): Draft {
  const complete: Record<string, InputValue> = {};
  for (const [name, input] of Object.entries(inputs)) {
    const value = values[name] ?? input.default;
    if (input.type === "image" && !(value instanceof Blob)) continue;
    complete[name] = input.type === "seed" ? seed(String(value)) : value;
  }
  return complete;
}

const LARGEST_SEED = 2n ** 64n - 1n;

function seed(text: string): string {
  const number = BigInt(text || "0");
  return String(number > LARGEST_SEED ? LARGEST_SEED : number);
}

function useOwnPhoto({ bundleId, manifest }: Installed): Blob | null {
  const [own, setOwn] = useState<Blob | null>(null);
  const photo = Object.values(manifest.inputs).find((input) => input.type === "image");
  const path = photo?.type === "image" ? photo.default : null;
  useEffect(() => {
    if (path) void picture(bundleId, path).then(setOwn);
  }, [bundleId, path]);
  return own;
}
