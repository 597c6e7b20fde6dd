/** Where the app cannot work at all: why, and what to do; with a button where trying again may help. */

import { Icon } from "../parts/icons";
import { t } from "../words";

interface Reason {
  readonly title: string;
  readonly text: string;
  readonly onAgain?: () => void;
}

export function Blocked({ title, text, onAgain }: Reason) {
  return (
    <main class="blocked">
      <Icon name="warning" size={56} />
      <h1>{title}</h1>
      <p role="alert">{text}</p>
      {onAgain && (
        <button type="button" class="primary" onClick={onAgain}>
          {t("again")}
        </button>
      )}
    </main>
  );
}
