/** What this phone can do, which way of computing was chosen, and why: shown before anything large comes. */

import { bytes } from "../format";
import { capability, choice, free, offline } from "../state";
import { t } from "../words";
import { Facts } from "./facts";
import { Icon } from "./icons";

export function Plan() {
  const chosen = choice.value;
  if (!chosen) return null;
  return (
    <div class="plan">
      <Icon name={chosen.plan === "webgpu" ? "spark" : "chip"} size={28} />
      <div>
        <strong>{t(`plan_${chosen.plan}`)}</strong>
        <p>{t(chosen.why)}</p>
      </div>
    </div>
  );
}

export function Checks() {
  const known = capability.value;
  const chosen = choice.value;
  if (!known || !chosen) return null;
  const gpu = known.gpu
    ? [known.gpu.name, known.gpu.f16 ? t("check_half") : ""].filter(Boolean).join(", ")
    : t("check_gpu_none");
  const threads =
    chosen.threads === 1 ? t("check_threads_one") : t("check_threads_many", { count: chosen.threads });
  const stays = offline.value === "yes" || (offline.value === "unknown" && known.offline);
  return (
    <section class="card" aria-labelledby="check-title">
      <h2 id="check-title">{t("check_title")}</h2>
      <Plan />
      <Facts
        facts={[
          { name: t("check_gpu"), value: gpu },
          { name: t("check_threads"), value: threads },
          { name: t("check_memory"), value: bytes(chosen.budgetBytes) },
          { name: t("check_storage"), value: free.value === null ? t("check_unknown") : bytes(free.value) },
          { name: t("check_encoder"), value: t(known.encoder ? "check_encoder_mp4" : "check_encoder_webp") },
          { name: t("check_offline"), value: t(stays ? "check_yes" : "check_no") },
        ]}
      />
    </section>
  );
}
