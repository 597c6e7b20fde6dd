/** Pairing: who is asking, what this phone can do, six digits to compare. */

import { useState } from "preact/hooks";
import { AppError, messageOf } from "../../errors";
import { invitationFromCode } from "../../protocol/invitation";
import { pairWith, stopPairing } from "../desk";
import { Checks } from "../parts/checks";
import { Icon } from "../parts/icons";
import { describeProblem } from "../problems";
import * as state from "../state";
import { t } from "../words";

export function PairScreen() {
  const step = state.pairingStep.value;
  switch (step.at) {
    case "talk":
      return <Waiting words={t("pair_talking")} />;
    case "compare":
      return <Compare code={step.code} />;
    case "failed":
      return <Failed message={step.problem ? describeProblem(new AppError(step.problem)) : step.message} />;
    case "ask":
      return state.invitation.value ? <Invited /> : <Uninvited />;
  }
}

function Hero() {
  return (
    <header class="hero">
      <img src="/icon.svg" alt="" width="88" height="88" />
      <h1>{t("pair_title")}</h1>
      <p>{t("pair_lead")}</p>
    </header>
  );
}

function Invited() {
  const [name, setName] = useState(t("pair_default_name"));
  const invitation = state.invitation.value;
  if (!invitation) return null;
  return (
    <form
      class="screen"
      onSubmit={(event) => {
        event.preventDefault();
        void pairWith(name.trim() || t("pair_default_name"));
      }}
    >
      <main>
        <Hero />
        <section class="card">
          <p class="line">
            <Icon name="computer" />
            <span class="faint">{t("pair_desk")}</span>
            <strong>{new URL(invitation.origin).host}</strong>
          </p>
          <label class="field">
            <span>{t("pair_name")}</span>
            <input
              value={name}
              maxLength={64}
              autocomplete="off"
              onInput={(event) => setName(event.currentTarget.value)}
            />
          </label>
        </section>
        <Checks />
      </main>
      <footer class="actions">
        <button type="submit" class="primary">
          {t("pair_button")}
        </button>
        <NotNow />
      </footer>
    </form>
  );
}

function Uninvited() {
  const [code, setCode] = useState("");
  const [problem, setProblem] = useState("");
  return (
    <form
      class="screen"
      onSubmit={(event) => {
        event.preventDefault();
        try {
          state.invitation.value = invitationFromCode(location.origin, code);
          setProblem("");
        } catch (error) {
          setProblem(error instanceof AppError ? describeProblem(error) : messageOf(error));
        }
      }}
    >
      <main>
        <Hero />
        {state.badInvitation.value && <p class="warning">{t("pair_bad_link")}</p>}
        <section class="card">
          <p class="line">
            <Icon name="camera" />
            <span>{t("pair_scan")}</span>
          </p>
          <label class="field">
            <span>{t("pair_typed")}</span>
            <input
              class="digits"
              inputMode="numeric"
              autocomplete="one-time-code"
              maxLength={12}
              aria-label={t("pair_digits")}
              aria-invalid={problem !== ""}
              value={code}
              onInput={(event) => setCode(event.currentTarget.value)}
            />
          </label>
          {problem && (
            <p class="warning" role="alert">
              {problem}
            </p>
          )}
        </section>
        <Checks />
      </main>
      <footer class="actions">
        <button type="submit" class="primary" disabled={code.trim() === ""}>
          {t("pair_button")}
        </button>
        <NotNow />
      </footer>
    </form>
  );
}

/** The way back for somebody who has something to go back to. */
function NotNow() {
  if (!state.pairing.value && !state.workflows.value.length && !state.videos.value.length) return null;
  return (
    <button
      type="button"
      class="quiet"
      onClick={() => {
        state.invitation.value = null;
        state.pairingWanted.value = false;
      }}
    >
      {t("cancel")}
    </button>
  );
}

function Waiting({ words }: { words: string }) {
  return (
    <div class="screen">
      <main class="center" aria-busy="true">
        <div class="spinner" />
        <h1>{words}</h1>
      </main>
      <footer class="actions">
        <button type="button" class="quiet" onClick={stopPairing}>
          {t("cancel")}
        </button>
      </footer>
    </div>
  );
}

function Compare({ code }: { code: string }) {
  return (
    <div class="screen">
      <main class="center">
        <h1>{t("pair_compare")}</h1>
        <p class="code" data-testid="code">
          <span>{code.slice(0, 3)}</span> <span>{code.slice(3)}</span>
        </p>
        <p>{t("pair_compare_hint")}</p>
        <p class="line faint" role="status">
          <span class="spinner small" />
          {t("pair_waiting")}
        </p>
      </main>
      <footer class="actions">
        <button type="button" class="quiet" onClick={stopPairing}>
          {t("cancel")}
        </button>
      </footer>
    </div>
  );
}

function Failed({ message }: { message: string }) {
  return (
    <div class="screen">
      <main class="center">
        <Icon name="warning" size={56} />
        <h1>{t("pair_failed")}</h1>
        <p role="alert">{message}</p>
      </main>
      <footer class="actions">
        <button
          type="button"
          class="primary"
          onClick={() => {
            state.pairingStep.value = { at: "ask" };
          }}
        >
          {t("again")}
        </button>
      </footer>
    </div>
  );
}
