# L'explorateur de données : ce qui se trouve dans son propre espace.
data-title = Mes données
data-introduction = Voici vos espaces de stockage. Choisissez-en un pour voir ce qu'il contient.
data-storage = Espace { $name }
data-trail = Où vous êtes
data-count =
    { $count ->
        [one] { $count } élément
       *[other] { $count } éléments
    }
data-empty = Il n'y a encore rien ici.
data-name = Nom
data-kind = Type
data-size = Taille
data-modified = Modifié
data-more = Suite
data-first = Revenir au début de la liste
data-address = Adresse sur le web :
data-kind-folder = Dossier
data-kind-data = Données
data-kind-image = Image
data-kind-text = Texte
data-kind-table = Tableau
data-kind-pdf = PDF
data-kind-sound = Son
data-kind-video = Vidéo
data-kind-other = Fichier
data-upload-title = Ajouter des fichiers
data-upload-files = Choisissez des fichiers
data-upload-hint = Au plus { $count } fichiers à la fois. Si le nom existe déjà, le nouveau fichier en reçoit un autre.
data-upload = Ajouter
data-folder-title = Créer un dossier
data-folder-name = Nom du dossier
data-folder-make = Créer le dossier
data-name-refused = Ce nom n'est pas possible. N'utilisez pas de barre oblique et ne commencez pas par un point.
data-name-taken = Le nom { $name } existe déjà ici. Choisissez-en un autre.
data-share = Partager
data-delete = Supprimer
data-delete-folder = Supprimer le dossier
data-download = Télécharger
data-about = À propos de ce fichier
data-content = Contenu
data-not-shown = Nous n'affichons pas ce type de fichier ici. Vous pouvez le télécharger.
data-not-whole = Ceci n'est que le début. Téléchargez le fichier pour tout lire.
data-picture = Image { $name }
data-is-profile = Ce fichier contient votre profil WebID. Qui le lit sait qui vous êtes et comment vous joindre.
data-replace-title = Remplacer le contenu
data-replace-file = Choisissez le nouveau fichier
data-replace = Remplacer
data-delete-title = Supprimer ?
data-delete-question = Voulez-vous supprimer { $name } ?
data-delete-folder-question = Voulez-vous supprimer le dossier { $name }, avec tout ce qu'il contient ?
data-delete-members =
    { $count ->
        [0] Le dossier est vide.
        [one] Le dossier contient { $count } élément.
       *[other] Le dossier contient { $count } éléments.
    }
data-delete-final = Cela ne peut pas être annulé.
data-delete-profile = Votre profil WebID s'y trouve. Sans lui, vous ne pourriez plus vous connecter nulle part. C'est pourquoi nous ne le supprimons pas ici.
data-delete-many = Ce dossier contient trop d'éléments pour tout supprimer en une fois. Supprimez d'abord des dossiers qu'il contient. Rien n'a changé.
data-keep = Conserver
data-back = Retour à mes données
data-fault-title = Cela n'a pas réussi
data-refused = Vous n'avez pas accès à ceci.
data-missing = Il n'y a rien ici. Peut-être l'élément a-t-il été supprimé, ou l'adresse est-elle erronée.
data-changed = Entre-temps, ceci a été modifié par ailleurs. Regardez à nouveau avant de continuer. Rien n'a changé.
data-malformed = Le fichier ne correspond pas à son type. Ligne { $line } : { $reason }
data-full = Il n'y a plus de place dans cet espace.
data-too-large = Le fichier est trop grand.
data-broken-off = L'envoi s'est interrompu. Rien n'a été conservé. Réessayez.
data-not-possible = Ce n'est pas possible. { $reason }
data-no-file = Choisissez d'abord un fichier.
data-too-many-files = C'est trop de fichiers à la fois. Les premiers ont été conservés.
data-done-folder = Le dossier a été créé.
data-done-uploaded = Les fichiers ont été conservés.
data-done-replaced = Le contenu a été remplacé.
data-done-deleted = C'est supprimé.
data-done-shared = C'est partagé.
data-done-unshared = L'accès a été modifié.

# Partager.
share-title = Qui a accès à { $name } ?
share-own = Ce fichier a ses propres règles.
share-own-folder = Ce dossier a ses propres règles.
share-inherited = Les règles de { $folder } valent ici. Dès que vous changez quelque chose, cet élément reçoit ses propres règles.
share-who-may = Qui peut faire quoi
share-agreements = Qui d'autre voit ceci, par un accord
share-agreements-none = Aucun accord ne montre ceci.
share-agreements-more = Il y a plus d'accords que ceux examinés ici.
share-as-it-stands = Voit les données telles quelles.
share-less-precise = Ne voit les données que de façon moins précise ou codée.
share-figures = Ne voit que des chiffres portant sur au moins { $least } personnes ensemble.
share-by-consent = Parce que vous y avez consenti. Vous pouvez retirer ce consentement.
share-until = Jusqu'au { $moment }
share-you = Vous
share-everyone = Tout le monde, même sans connexion
share-logged-in = Toute personne connectée, où que ce soit
share-group = Le groupe { $name }
share-may-read = consulter
share-may-write = ajouter, modifier et supprimer
share-may-add = ajouter
share-may-control = décider de qui a accès
share-here-only = Seulement le dossier, pas ce qu'il contient
share-below-only = Seulement ce que le dossier contient
share-conditional = Seulement sous d'autres conditions, que vous modifiez avec une application.
share-stop = Arrêter
share-stop-for = Ne plus partager avec { $name }
share-add-title = Partager avec quelqu'un
share-add-folder = Cela vaut pour le dossier et pour tout ce qu'il contient sans règles propres.
share-with = Avec qui ?
share-agent = Avec une personne ou une organisation
share-webid = WebID de cette personne ou organisation
share-webid-hint = Par exemple : https://pod.example/jan/profile/card#me
share-level = Que peuvent-ils faire ?
share-level-read = Seulement consulter
share-level-add = Consulter et ajouter
share-level-write = Consulter, ajouter, modifier et supprimer
share-add = Partager
share-inherit = Appliquer à nouveau les règles du dossier supérieur
share-inherit-explanation = Les règles propres disparaissent alors.
share-back = Retour
share-changed = Les règles ont été modifiées entre-temps. Regardez à nouveau avant de changer quelque chose.
share-level-missing = Choisissez ce qu'ils peuvent faire.
share-who-missing = Choisissez avec qui vous partagez.
share-webid-malformed = Indiquez un WebID. C'est une adresse web qui commence par https://
share-self = Cela changerait votre propre accès. Nous ne le faisons pas ici.
share-policies = L'accès à ce stockage est réglé par des politiques (ACP). Cette page ne les montre ni ne les modifie ; utilisez une application qui le peut.
