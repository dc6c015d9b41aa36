# Se connecter par un autre fournisseur.
external-choices = Autres façons de se connecter
external-with = Se connecter avec { $provider }
external-title = Se connecter par d’autres services
external-explanation = Vous pouvez aussi vous connecter ici avec un compte que vous avez ailleurs.
external-link = Relier { $provider }
external-unlink = Ne plus relier
external-unlink-which = Ne plus relier { $provider }
external-failed-title = La connexion n’a pas réussi
external-failed-explanation = Vous n’êtes pas connecté et rien n’a changé. Réessayez ; si cela échoue encore, connectez-vous d’une autre façon.
external-unlinked-title = Nous ne vous connaissons pas encore
external-unlinked-explanation = Vous vous êtes identifié ailleurs, mais aucun compte d’ici n’y est relié. Connectez-vous ici avec votre propre compte et reliez-le sur la page de votre compte.
external-taken-title = Impossible de relier
external-taken-explanation = C’est déjà relié à un autre compte, ou votre compte a trop de liens. Rien n’a changé.
