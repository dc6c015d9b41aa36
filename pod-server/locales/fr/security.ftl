# Comment on entre dans le compte : clés d'accès, codes de secours, sessions.
security-title = Connexion et sécurité
security-again = Pour changer quelque chose ici, vous devez d'abord vous reconnecter.
security-again-link = Se reconnecter
passkeys-title = Clés d'accès (passkeys)
passkeys-explanation = Avec une clé d'accès, vous vous connectez par votre empreinte, votre visage ou le code de votre propre appareil. Il n'y a rien à retenir ni à révéler.
passkeys-none = Vous n'avez pas encore de clé d'accès.
passkeys-unavailable = Les clés d'accès ne fonctionnent pas à cette adresse.
passkeys-full = Vous avez le nombre maximal de clés d'accès. Supprimez-en d'abord une.
passkey-label = Comment appelez-vous cette clé d'accès ?
passkey-hint = Par exemple : téléphone, ou porte-clés.
passkey-unnamed = Clé d'accès
passkey-add = Ajouter une clé d'accès
passkey-remove = Supprimer
passkey-remove-which = Supprimer la clé d'accès { $name }
passkey-used = Utilisée en dernier le { $date }
passkey-log-in = Se connecter avec une clé d'accès
passkey-no-script = Une clé d'accès ne fonctionne qu'avec JavaScript. Sans lui, utilisez votre mot de passe.
passkey-failed = Cela n'a pas réussi. Réessayez, ou utilisez votre mot de passe.
recovery-title = Codes de secours
recovery-explanation = Avec un code de secours, vous entrez si vous avez perdu votre mot de passe et vos clés d'accès. Conservez-les sur papier, pas sur l'appareil avec lequel vous vous connectez.
recovery-left =
    { $count ->
        [0] Il ne vous reste aucun code de secours.
        [one] Il vous reste { $count } code de secours.
       *[other] Il vous reste { $count } codes de secours.
    }
recovery-made = Créés le { $date }.
recovery-none = Vous n'avez pas encore de codes de secours.
recovery-replaces = Les anciens codes ne fonctionneront plus.
recovery-make = Créer des codes de secours
recovery-new-title = Vos codes de secours
recovery-once = Notez ces codes maintenant. Ils ne sont montrés ici qu'une seule fois. Chaque code fonctionne une fois.
recovery-kept = J'ai conservé les codes
sessions-title = Où vous êtes connecté
sessions-explanation = Vous ne reconnaissez pas un appareil ? Déconnectez-le et changez votre mot de passe.
session-unnamed = Appareil inconnu
session-current = cet appareil
session-since = Connecté le { $moment }
session-end = Déconnecter
session-end-which = Déconnecter { $name }
sessions-end = Déconnecter tous les autres
recover-title = Entrer avec un code de secours
recover-link = Mot de passe perdu ?
recover-introduction = Indiquez un de vos codes de secours et choisissez un nouveau mot de passe. Vous serez ensuite déconnecté partout ailleurs.
recover-code = Code de secours
recover-code-hint = Seize lettres et chiffres. Les majuscules et les tirets sont sans importance.
recover = Enregistrer le mot de passe
recover-failed = Le nom ou le code de secours est erroné, ou le code a déjà été utilisé.
recover-operator = Pas de codes de secours ? La personne qui gère ce serveur peut vous donner un lien pour choisir un nouveau mot de passe.
done-passkey-added = La clé d'accès a été ajoutée.
done-passkey-removed = La clé d'accès a été supprimée.
done-session-ended = Cet appareil est déconnecté.
done-sessions-ended = Tous les autres appareils sont déconnectés.
done-recovered = Votre nouveau mot de passe est enregistré. Vérifiez que vous reconnaissez toutes les clés d'accès ci-dessous.
