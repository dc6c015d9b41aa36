# Le cadre de chaque page.
skip-to-content = Aller au contenu
nav-label = Navigation principale
nav-account = Mon compte
nav-consent = Ce que je partage
nav-log = Qui a regardé
log-out = Se déconnecter
language-label = Langue
footer = Vos données restent chez vous. Vous décidez qui les voit, et vous voyez chaque utilisation.
nav-datasets = Ce que je propose
nav-data = Mes données
