/** All videos that were made on this phone, the newest first. */

import { titleOf } from "../../making/videos";
import { go } from "../navigate";
import { Icon } from "../parts/icons";
import { Picture } from "../parts/picture";
import { videos } from "../state";
import { t } from "../words";

export function VideosScreen() {
  return (
    <main>
      <header class="title">
        <h1>{t("videos_title")}</h1>
      </header>
      {videos.value.length === 0 ? (
        <div class="empty">
          <Icon name="film" size={56} />
          <h2>{t("videos_empty")}</h2>
          <p>{t("videos_empty_hint")}</p>
        </div>
      ) : (
        <ul class="tiles">
          {videos.value.map((video) => (
            <li key={video.id}>
              <button
                type="button"
                aria-label={t("video_label", { title: titleOf(video) })}
                onClick={() => go({ page: "video", id: video.id })}
              >
                <Picture blob={video.poster} alt="" />
                <span>{titleOf(video)}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </main>
  );
}
