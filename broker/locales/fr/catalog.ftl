catalog-title = Catalogue
catalog-intro = Des données que leurs propriétaires proposent. Les données restent chez eux.
skip-to-content = Aller au contenu
language-label = Langue
search-label = Cherchez des mots du titre, de la description, des mots-clés ou du propriétaire
search-button = Chercher
results-count = { $count ->
    [one] { $count } jeu de données
   *[other] { $count } jeux de données
}
results-order = Ordre : ce qui contient plus de vos mots d'abord, puis par titre. Il est le même pour tous et ne s'achète pas.
members-stale = De ces participants nous montrons la dernière offre connue, car ils ne répondent pas : { $members }.
dataset-owner = Participant
dataset-access = Accès
access-open = Ouvert : sans accord
access-agreement = Après accord avec le propriétaire
dataset-keywords = Mots-clés
dataset-address = Adresse
offer-terms = Conditions de l'offre
