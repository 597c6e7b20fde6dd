import type { Words } from ".";

/** German. */
export const de: Words = {
  language_name: "Deutsch",

  nav: "Hauptmenü",
  nav_library: "Workflows",
  nav_videos: "Videos",
  nav_phone: "Dieses Handy",
  back: "Zurück",
  cancel: "Abbrechen",
  close: "Schließen",
  remove: "Löschen",
  again: "Noch einmal",

  link_connecting: "Computer wird gesucht",
  link_online: "Computer erreichbar",
  link_away: "Computer nicht erreichbar",
  link_none: "Nicht gekoppelt",

  pair_title: "Dieses Handy koppeln",
  pair_lead: "Videos entstehen hier auf dem Handy. Der Computer schickt nur die Workflows.",
  pair_desk: "Computer",
  pair_name: "Name dieses Handys",
  pair_default_name: "Mein Handy",
  pair_button: "Koppeln",
  pair_scan:
    "Öffne in ComfyUI PocketVideo, wähle Gerät koppeln und richte die Kamera dieses Handys auf den Code.",
  pair_typed: "Keine Kamera? Tippe die Ziffern unter dem Code ein",
  pair_digits: "Ziffern zum Koppeln",
  pair_talking: "Verbindung zum Computer",
  pair_compare: "Zeigt dein Computer dieselben Ziffern?",
  pair_compare_hint: "Wenn ja, bestätige dort. Wenn nicht, lehne ab: Jemand könnte mithören.",
  pair_waiting: "Warten auf deinen Computer",
  pair_failed: "Das Koppeln hat nicht geklappt",
  pair_bad_link:
    "Diese Adresse zum Koppeln ist unvollständig. Lass am Computer einen neuen Code anzeigen und scanne ihn.",

  check_title: "Was dieses Handy kann",
  check_gpu: "Grafikprozessor",
  check_gpu_none: "Für diesen Browser nicht verfügbar",
  check_half: "halbe Genauigkeit",
  check_threads: "Prozessor",
  check_threads_many: "{count} Threads",
  check_threads_one: "1 Thread",
  check_memory: "Arbeitsspeicher für ein Video",
  check_storage: "Freier Speicher",
  check_unknown: "Unbekannt",
  check_offline: "Geht ohne Computer",
  check_encoder: "Videodateien",
  check_encoder_mp4: "MP4",
  check_encoder_webp: "Animiertes WebP, weil dieser Browser kein MP4 schreibt",
  check_yes: "Ja",
  check_no: "Nein",
  plan_webgpu: "Auf dem Grafikprozessor",
  plan_wasm: "Auf dem Prozessor",
  why_gpu: "Dieser Browser darf den Grafikprozessor nutzen, den schnellsten Weg.",
  why_no_gpu:
    "Dieser Browser hat keinen Zugang zu einem Grafikprozessor. Es dauert länger, die Videos sind dieselben.",
  why_small_gpu:
    "Der Grafikprozessor ist zu klein für Videonetze. Es dauert länger, die Videos sind dieselben.",
  why_crashed: "Der Grafikprozessor hat zuvor versagt, darum wird der sichere Weg genommen.",
  insecure_title: "Diese Adresse ist nicht sicher",
  insecure_text:
    "Browser erlauben das nur auf sicheren Seiten. Scanne den Code am Computer noch einmal: Seine Adresse beginnt mit https.",
  no_storage_title: "Dieser Browser behält keine Dateien",
  no_storage_text:
    "Workflows werden auf dem Handy gespeichert. Verlasse das private Fenster oder nimm einen neueren Browser und öffne diese Seite noch einmal.",

  library_title: "Workflows",
  library_empty: "Noch kein Workflow",
  library_empty_hint:
    "Öffne in ComfyUI einen Workflow und schicke ihn an dieses Handy. Er erscheint hier von selbst.",
  workflow_arrived: "{name} ist da und läuft auf diesem Handy.",

  workflow_missing: "Dieser Workflow ist nicht mehr auf dem Handy.",
  workflow_size: "{size} auf diesem Handy",
  workflow_delete: "Diesen Workflow löschen?",
  workflow_delete_hint:
    "Das macht bis zu {size} frei. Deine Videos bleiben. Der Computer kann den Workflow wieder schicken.",
  form_dice: "Neuen Seed würfeln",
  form_seed: "Seed",
  form_photo_take: "Kamera",
  form_photo_choose: "Galerie",
  form_photo_reset: "Bild des Workflows nehmen",
  generate: "Erzeugen",
  generate_other: "Ein anderer Workflow arbeitet",

  stage_download: "{title} wird empfangen",
  stage_verify: "Dateien werden geprüft",
  stage_prepare: "Vorbereitung",
  stage_self_test: "Test auf diesem Handy",
  stage_run: "Das Video entsteht",
  stage_encode: "Das Video wird geschrieben",
  stage_upload: "Wird zum Computer geschickt",
  step_of: "Schritt {step} von {steps}",
  bytes_of: "{done} von {total}",
  left: "noch etwa {time}",
  left_soon: "fast fertig",
  fell_back: "Der Grafikprozessor hat aufgegeben, der Prozessor macht weiter.",
  preview: "Vorschau",

  videos_title: "Videos",
  videos_empty: "Noch kein Video",
  videos_empty_hint: "Wähle einen Workflow und drücke Erzeugen.",
  video_missing: "Dieses Video ist nicht mehr auf dem Handy.",
  video_made: "Am {when} in {time} entstanden",
  video_save: "Sichern",
  video_share: "Teilen",
  video_send: "An Computer",
  video_sent: "Am Computer",
  video_settings: "Entstanden mit",
  video_workflow: "Workflow",
  video_reuse: "Diese Einstellungen nehmen",
  video_delete: "Dieses Video löschen?",
  video_delete_hint: "Es wird nur auf diesem Handy gelöscht.",
  video_label: "Video: {title}",
  video_photo: "Eigenes Foto",
  sent_to_desk: "Das Video ist auf deinem Computer, mit seinem Workflow.",
  job_done: "Der Computer hat sein Video.",

  phone_title: "Dieses Handy",
  phone_desk: "Computer",
  phone_paired_as: "Gekoppelt als {name}",
  phone_forget: "Diesen Computer vergessen",
  phone_forget_ask: "Diesen Computer vergessen?",
  phone_forget_hint: "Workflows und Videos bleiben und funktionieren. Für neue koppelst du noch einmal.",
  phone_storage: "Speicher",
  phone_storage_used: "{used} von {quota} belegt",
  phone_persist: "Dateien behalten, wenn das Handy voll wird",
  phone_persisted: "Der Browser behält diese Dateien.",
  phone_persist_refused:
    "Der Browser war nicht einverstanden. Installiere erst die App und frage dann noch einmal.",
  phone_language: "Sprache",
  phone_bold: "Wieder volle Geschwindigkeit versuchen",
  phone_version: "PocketVideo {version}",
  phone_licences: "Lizenzen der Bestandteile",
  phone_trust: "Ohne Computer nutzbar machen",

  offline_no:
    "Geht, solange diese Seite offen ist. Damit es überall geht, vertraue einmal dem Zertifikat des Computers.",
  offline_how: "So geht es",
  update_ready: "Eine neuere Version ist da.",
  update_now: "Jetzt nutzen",
  elsewhere: "PocketVideo ist in einem anderen Tab offen. Schließe einen von beiden.",
  crashed: "Das letzte Video hat die Seite beendet: zu wenig Arbeitsspeicher. Ab jetzt wird weniger genutzt.",
  crashed_wasm:
    "Das letzte Video hat die Seite wieder beendet. Ab jetzt bleibt der Grafikprozessor außen vor.",
  files_broken:
    "Dateien dieses Workflows waren auf dem Handy beschädigt ({count}) und wurden entfernt. Schicke ihn noch einmal vom Computer; nur diese kommen neu.",
  starting: "Startet",
  stuck_title: "PocketVideo ist nicht gestartet",
  stuck_program:
    "Ein Teil der App ist nicht angekommen. Geh mit dem Handy zurück in das Netz des Computers und versuche es noch einmal; deine Workflows und Videos bleiben.",
  stuck_files:
    "Der Browser hat die Dateien der App nicht geöffnet ({why}). Schließe andere Tabs und Apps und versuche es noch einmal; hilft das nicht, starte das Handy neu.",

  problem_bad_answer:
    "Diese App versteht die Antwort des Computers nicht. Aktualisiere PocketVideo dort und lade diese Seite neu.",
  problem_blob_corrupt: "Eine Datei kam zweimal beschädigt an. Schicke den Workflow noch einmal.",
  problem_bundle_bad: "Dieser Workflow kam beschädigt an. Schicke ihn noch einmal.",
  problem_cancelled: "Angehalten.",
  problem_desk_away:
    "Der Computer ist nicht erreichbar. Läuft ComfyUI, und sind beide im selben Netz? Was schon da ist, bleibt.",
  problem_desk_refused: "Der Computer sagt: {message}",
  problem_encoder_missing: "Dieser Browser kann keine Videodatei schreiben. Nimm einen neueren.",
  problem_not_an_invitation: "Das ist kein Code zum Koppeln. Nimm die Ziffern, die der Computer zeigt.",
  problem_pairing_expired:
    "Dieser Code ist benutzt oder abgelaufen. Lass am Computer einen neuen anzeigen und scanne ihn.",
  problem_pairing_refused: "Das Handy wurde am Computer abgelehnt.",
  problem_revoked:
    "Der Computer kennt dieses Handy nicht mehr. Kopple es für neue Workflows noch einmal; was hier ist, bleibt.",
  problem_storage_full:
    "Der Speicher des Handys ist voll. Lösche Workflows oder Videos und versuche es noch einmal.",
  problem_storage_full_by:
    "Dieser Workflow braucht {wanted}, und der Browser gibt nur {free}. Lösche Workflows oder Videos und schicke ihn noch einmal.",
  problem_wrong_code:
    "Der Computer nimmt diese Ziffern nicht an. Lass einen neuen Code anzeigen und versuche es noch einmal.",
  problem_wrong_desk:
    "Unter dieser Adresse antwortet ein anderer Computer als der, der den Code gezeigt hat. Mach nicht weiter: Sieh nach, in welchem Netz du bist.",
};
