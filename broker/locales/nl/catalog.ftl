catalog-title = Catalogus
catalog-intro = Gegevens die eigenaars aanbieden. De gegevens zelf blijven bij hen.
skip-to-content = Naar de inhoud
language-label = Taal
search-label = Zoek op woorden uit titel, beschrijving, trefwoorden of eigenaar
search-button = Zoeken
results-count = { $count ->
    [one] { $count } dataset
   *[other] { $count } datasets
}
results-order = Volgorde: wat meer van uw woorden bevat staat eerst, daarna op titel. Dat is voor iedereen gelijk en niet te koop.
members-stale = Van deze deelnemers tonen we wat ze het laatst aanboden, want ze antwoorden nu niet: { $members }.
dataset-owner = Deelnemer
dataset-access = Toegang
access-open = Open: geen afspraak nodig
access-agreement = Na afspraak met de eigenaar
dataset-keywords = Trefwoorden
dataset-address = Adres
offer-terms = Voorwaarden van het aanbod
