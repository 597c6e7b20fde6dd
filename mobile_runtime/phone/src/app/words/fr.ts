import type { Words } from ".";

/** French. */
export const fr: Words = {
  language_name: "Français",

  nav: "Menu principal",
  nav_library: "Workflows",
  nav_videos: "Vidéos",
  nav_phone: "Ce téléphone",
  back: "Retour",
  cancel: "Annuler",
  close: "Fermer",
  remove: "Supprimer",
  again: "Réessayer",

  link_connecting: "Recherche de l’ordinateur",
  link_online: "Ordinateur joignable",
  link_away: "Ordinateur injoignable",
  link_none: "Non associé",

  pair_title: "Associer ce téléphone",
  pair_lead: "Les vidéos sont créées ici, sur ce téléphone. L’ordinateur n’envoie que les workflows.",
  pair_desk: "Ordinateur",
  pair_name: "Nom de ce téléphone",
  pair_default_name: "Mon téléphone",
  pair_button: "Associer",
  pair_scan:
    "Dans ComfyUI, ouvrez PocketVideo, choisissez d’associer un appareil et visez le code avec ce téléphone.",
  pair_typed: "Pas d’appareil photo ? Tapez les chiffres sous le code",
  pair_digits: "Chiffres d’association",
  pair_talking: "Connexion à l’ordinateur",
  pair_compare: "Votre ordinateur affiche-t-il les mêmes chiffres ?",
  pair_compare_hint: "Si oui, confirmez là-bas. Sinon, refusez : quelqu’un d’autre écoute peut-être.",
  pair_waiting: "En attente de votre ordinateur",
  pair_failed: "L’association a échoué",
  pair_bad_link:
    "Cette adresse d’association est incomplète. Affichez un nouveau code sur l’ordinateur et scannez-le.",

  check_title: "Ce que peut ce téléphone",
  check_gpu: "Processeur graphique",
  check_gpu_none: "Non disponible pour ce navigateur",
  check_half: "demi-précision",
  check_threads: "Processeur",
  check_threads_many: "{count} fils",
  check_threads_one: "1 fil",
  check_memory: "Mémoire pour une vidéo",
  check_storage: "Stockage libre",
  check_unknown: "Inconnu",
  check_offline: "Fonctionne sans l’ordinateur",
  check_encoder: "Fichiers vidéo",
  check_encoder_mp4: "MP4",
  check_encoder_webp: "WebP animé, car ce navigateur n’écrit pas de MP4",
  check_yes: "Oui",
  check_no: "Non",
  plan_webgpu: "Sur le processeur graphique",
  plan_wasm: "Sur le processeur",
  why_gpu: "Ce navigateur donne accès au processeur graphique, la voie la plus rapide.",
  why_no_gpu:
    "Ce navigateur ne donne pas accès à un processeur graphique. C’est plus long, et les vidéos sont les mêmes.",
  why_small_gpu:
    "Le processeur graphique est trop petit pour des réseaux vidéo. C’est plus long, et les vidéos sont les mêmes.",
  why_crashed: "Le processeur graphique a échoué auparavant ; la voie plus sûre est utilisée.",
  insecure_title: "Cette adresse n’est pas sécurisée",
  insecure_text:
    "Les navigateurs ne le permettent que sur des pages sécurisées. Scannez de nouveau le code de l’ordinateur : son adresse commence par https.",
  no_storage_title: "Ce navigateur ne garde aucun fichier",
  no_storage_text:
    "Les workflows sont enregistrés sur le téléphone. Quittez la fenêtre privée ou prenez un navigateur plus récent, puis rouvrez cette page.",

  library_title: "Workflows",
  library_empty: "Aucun workflow pour l’instant",
  library_empty_hint:
    "Dans ComfyUI, ouvrez un workflow et envoyez-le à ce téléphone. Il apparaît ici tout seul.",
  workflow_arrived: "{name} est arrivé et fonctionne sur ce téléphone.",

  workflow_missing: "Ce workflow n’est plus sur le téléphone.",
  workflow_size: "{size} sur ce téléphone",
  workflow_delete: "Supprimer ce workflow ?",
  workflow_delete_hint:
    "Cela libère jusqu’à {size}. Vos vidéos restent. L’ordinateur peut renvoyer le workflow.",
  form_dice: "Tirer une nouvelle graine",
  form_seed: "Graine",
  form_photo_take: "Appareil photo",
  form_photo_choose: "Galerie",
  form_photo_reset: "Reprendre l’image du workflow",
  generate: "Créer la vidéo",
  generate_other: "Un autre workflow travaille",

  stage_download: "Réception de {title}",
  stage_verify: "Vérification des fichiers",
  stage_prepare: "Préparation",
  stage_self_test: "Test sur ce téléphone",
  stage_run: "Création de la vidéo",
  stage_encode: "Écriture de la vidéo",
  stage_upload: "Envoi à l’ordinateur",
  step_of: "Étape {step} sur {steps}",
  bytes_of: "{done} sur {total}",
  left: "encore {time} environ",
  left_soon: "presque fini",
  fell_back: "Le processeur graphique a abandonné, le processeur continue.",
  preview: "Aperçu",

  videos_title: "Vidéos",
  videos_empty: "Aucune vidéo pour l’instant",
  videos_empty_hint: "Choisissez un workflow et créez la première.",
  video_missing: "Cette vidéo n’est plus sur le téléphone.",
  video_made: "Créée le {when} en {time}",
  video_save: "Enregistrer",
  video_share: "Partager",
  video_send: "Vers l’ordinateur",
  video_sent: "Sur l’ordinateur",
  video_settings: "Créée avec",
  video_workflow: "Workflow",
  video_reuse: "Reprendre ces réglages",
  video_delete: "Supprimer cette vidéo ?",
  video_delete_hint: "Elle n’est supprimée que de ce téléphone.",
  video_label: "Vidéo : {title}",
  video_photo: "Photo personnelle",
  sent_to_desk: "La vidéo est sur votre ordinateur, avec son workflow.",
  job_done: "L’ordinateur a sa vidéo.",

  phone_title: "Ce téléphone",
  phone_desk: "Ordinateur",
  phone_paired_as: "Associé sous le nom {name}",
  phone_forget: "Oublier cet ordinateur",
  phone_forget_ask: "Oublier cet ordinateur ?",
  phone_forget_hint:
    "Workflows et vidéos restent et fonctionnent. Pour en recevoir d’autres, associez de nouveau.",
  phone_storage: "Stockage",
  phone_storage_used: "{used} utilisés sur {quota}",
  phone_persist: "Garder les fichiers quand le téléphone est plein",
  phone_persisted: "Le navigateur garde ces fichiers.",
  phone_persist_refused: "Le navigateur n’a pas accepté. Installez d’abord l’application, puis redemandez.",
  phone_language: "Langue",
  phone_bold: "Réessayer à pleine vitesse",
  phone_version: "PocketVideo {version}",
  phone_licences: "Licences des composants",
  phone_trust: "Rendre utilisable hors ligne",

  offline_no:
    "Fonctionne tant que cette page est ouverte. Pour l’utiliser partout, acceptez une fois le certificat de l’ordinateur.",
  offline_how: "Voir comment",
  update_ready: "Une nouvelle version est là.",
  update_now: "L’utiliser",
  elsewhere: "PocketVideo est ouvert dans un autre onglet. Fermez l’un des deux.",
  crashed: "La dernière vidéo a arrêté la page : mémoire insuffisante. Désormais moins est utilisé.",
  crashed_wasm:
    "La dernière vidéo a de nouveau arrêté la page. Désormais le processeur graphique n’est plus utilisé.",
  files_broken:
    "Des fichiers de ce workflow étaient abîmés sur ce téléphone ({count}) et ont été supprimés. Renvoyez-le de l’ordinateur ; eux seuls sont transmis.",
  starting: "Démarrage",
  stuck_title: "PocketVideo n’a pas démarré",
  stuck_program:
    "Une partie de l’application n’est pas arrivée. Ramenez le téléphone sur le réseau de l’ordinateur et réessayez ; vos workflows et vos vidéos restent.",
  stuck_files:
    "Le navigateur n’a pas ouvert les fichiers de l’application ({why}). Fermez d’autres onglets et applications et réessayez ; si cela n’aide pas, redémarrez le téléphone.",

  problem_bad_answer:
    "Cette application ne comprend pas la réponse de l’ordinateur. Mettez-y PocketVideo à jour et rechargez cette page.",
  problem_blob_corrupt: "Un fichier est arrivé abîmé, deux fois. Renvoyez le workflow de l’ordinateur.",
  problem_bundle_bad: "Ce workflow est arrivé abîmé. Renvoyez-le de l’ordinateur.",
  problem_cancelled: "Arrêté.",
  problem_desk_away:
    "L’ordinateur est injoignable. Vérifiez que ComfyUI tourne et que les deux sont sur le même réseau. Ce qui est arrivé est gardé.",
  problem_desk_refused: "L’ordinateur dit : {message}",
  problem_encoder_missing: "Ce navigateur ne sait écrire aucun fichier vidéo. Prenez-en un plus récent.",
  problem_not_an_invitation:
    "Ce n’est pas un code d’association. Prenez les chiffres que montre l’ordinateur.",
  problem_pairing_expired:
    "Ce code a servi ou a expiré. Affichez-en un nouveau sur l’ordinateur et scannez-le.",
  problem_pairing_refused: "Le téléphone a été refusé sur l’ordinateur.",
  problem_revoked:
    "L’ordinateur ne connaît plus ce téléphone. Associez-le de nouveau pour recevoir des workflows ; ce qui est ici reste.",
  problem_storage_full:
    "Le stockage du téléphone est plein. Supprimez des workflows ou des vidéos et réessayez.",
  problem_storage_full_by:
    "Ce workflow demande {wanted} et le navigateur ne donne que {free}. Supprimez des workflows ou des vidéos et renvoyez-le.",
  problem_wrong_code: "L’ordinateur n’accepte pas ces chiffres. Affichez un nouveau code et réessayez.",
  problem_wrong_desk:
    "Un autre ordinateur répond à cette adresse que celui qui a montré le code. N’allez pas plus loin : vérifiez sur quel réseau vous êtes.",
};
