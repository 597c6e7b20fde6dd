/** Where the app cannot work at all: why, and what to do. */

import { Icon } from "../parts/icons";

export function Blocked({ title, text }: { title: string; text: string }) {
  return (
    <main class="blocked">
      <Icon name="warning" size={56} />
      <h1>{title}</h1>
      <p>{text}</p>
    </main>
  );
}
