# Aanmelden via een andere aanbieder.
external-choices = Andere manieren om u aan te melden
external-with = Aanmelden met { $provider }
external-title = Aanmelden via anderen
external-explanation = U kunt u hier ook aanmelden met een account dat u elders hebt.
external-link = { $provider } verbinden
external-unlink = Verbinding verbreken
external-unlink-which = De verbinding met { $provider } verbreken
external-failed-title = Aanmelden is niet gelukt
external-failed-explanation = U bent niet aangemeld en er is niets gewijzigd. Probeer het opnieuw; gaat het weer mis, meld u dan op een andere manier aan.
external-unlinked-title = We kennen u nog niet
external-unlinked-explanation = U hebt u elders aangemeld, maar hier is geen account daarmee verbonden. Meld u hier aan met uw eigen account en verbind het op de pagina van uw account.
external-taken-title = Dit kan niet worden verbonden
external-taken-explanation = Het is al met een ander account verbonden, of uw account heeft te veel verbindingen. Er is niets gewijzigd.
