/** A question before something is lost. The dialog holds the focus; Escape and the backdrop mean no. */

import { useEffect, useRef } from "preact/hooks";
import { t } from "../words";

interface Asked {
  readonly title: string;
  readonly hint: string;
  readonly yes: string;
  onYes(): void;
  onClose(): void;
}

export function Ask({ title, hint, yes, onYes, onClose }: Asked) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby="ask-title"
      aria-describedby="ask-hint"
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
      onKeyDown={() => {}}
    >
      <div class="ask">
        <h2 id="ask-title">{title}</h2>
        <p id="ask-hint">{hint}</p>
        <div class="row">
          <button type="button" class="quiet" onClick={() => dialog.current?.close()}>
            {t("cancel")}
          </button>
          <button
            type="button"
            class="danger"
            onClick={() => {
              dialog.current?.close();
              onYes();
            }}
          >
            {yes}
          </button>
        </div>
      </div>
    </dialog>
  );
}
