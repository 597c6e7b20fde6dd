/** Settings: the desk, the storage, what the phone can do, the language. */

import { useEffect, useState } from "preact/hooks";
import { unpair } from "../desk";
import { bytes } from "../format";
import { Ask } from "../parts/ask";
import { Checks } from "../parts/checks";
import { Icon } from "../parts/icons";
import { freeBytes, keepForever } from "../shelf";
import * as state from "../state";
import { guard } from "../studio";
import { type Language, language, languages, speak, t } from "../words";

export function PhoneScreen() {
  return (
    <main>
      <header class="title">
        <h1>{t("phone_title")}</h1>
      </header>
      <DeskCard />
      <StorageCard />
      <Checks />
      {state.caution.value > 0 && (
        <button
          type="button"
          class="quiet"
          onClick={() => {
            guard.forget();
            state.caution.value = guard.caution;
          }}
        >
          {t("phone_bold")}
        </button>
      )}
      <LanguageCard />
      <p class="faint center-line">{t("phone_version", { version: __APP_VERSION__ })}</p>
      <a class="button" href="/licences.txt" target="_blank" rel="noreferrer">
        {t("phone_licences")}
      </a>
    </main>
  );
}

function DeskCard() {
  const [asking, setAsking] = useState(false);
  const pairing = state.pairing.value;
  return (
    <section class="card" aria-labelledby="desk-title">
      <h2 id="desk-title">{t("phone_desk")}</h2>
      {pairing ? (
        <>
          <p class="line">
            <Icon name="computer" />
            <strong>{pairing.deskName}</strong>
            <span class="faint">{new URL(pairing.origin).host}</span>
          </p>
          <p class="faint">{t("phone_paired_as", { name: pairing.deviceName })}</p>
          <button type="button" class="quiet" onClick={() => setAsking(true)}>
            {t("phone_forget")}
          </button>
        </>
      ) : (
        <>
          <p>{t("pair_scan")}</p>
          <button
            type="button"
            onClick={() => {
              state.pairingWanted.value = true;
            }}
          >
            {t("pair_button")}
          </button>
        </>
      )}
      {state.offline.value === "no" && (
        <a class="button" href="/trust">
          {t("phone_trust")}
        </a>
      )}
      {asking && (
        <Ask
          title={t("phone_forget_ask")}
          hint={t("phone_forget_hint")}
          yes={t("phone_forget")}
          onYes={() => void unpair()}
          onClose={() => setAsking(false)}
        />
      )}
    </section>
  );
}

function StorageCard() {
  const known = state.capability.value;
  const [refused, setRefused] = useState(false);
  useEffect(() => void freeBytes(), []);
  if (!known) return null;
  const used = state.stored.value;
  const quota = known.quota ?? 0;
  return (
    <section class="card" aria-labelledby="storage-title">
      <h2 id="storage-title">{t("phone_storage")}</h2>
      {quota > 0 && (
        <>
          <div class="bar thick" aria-hidden="true">
            <div style={{ transform: `scaleX(${Math.max(0.005, used / quota)})` }} />
          </div>
          <p>{t("phone_storage_used", { used: bytes(used), quota: bytes(quota) })}</p>
        </>
      )}
      {known.persisted ? (
        <p class="faint">{t("phone_persisted")}</p>
      ) : (
        <button
          type="button"
          class="quiet"
          onClick={() => void keepForever().then((kept) => setRefused(!kept))}
        >
          {t("phone_persist")}
        </button>
      )}
      {refused && <p class="warning">{t("phone_persist_refused")}</p>}
    </section>
  );
}

function LanguageCard() {
  return (
    <section class="card">
      <label class="field">
        <span>{t("phone_language")}</span>
        <select value={language.value} onChange={(event) => speak(event.currentTarget.value as Language)}>
          {Object.entries(languages).map(([code, words]) => (
            <option key={code} value={code} lang={code}>
              {words.language_name}
            </option>
          ))}
        </select>
      </label>
    </section>
  );
}
