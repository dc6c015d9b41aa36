# De gegevensverkenner: wat in de eigen opslag ligt.
data-title = Mijn gegevens
data-introduction = Dit zijn uw opslagplaatsen. Kies er een om te zien wat erin ligt.
data-storage = Opslag { $name }
data-trail = Waar u bent
data-count =
    { $count ->
        [one] Eén onderdeel
       *[other] { $count } onderdelen
    }
data-empty = Hier ligt nog niets.
data-name = Naam
data-kind = Soort
data-size = Grootte
data-modified = Gewijzigd
data-more = Volgende
data-first = Terug naar het begin van de lijst
data-address = Adres op het web:
data-kind-folder = Map
data-kind-data = Gegevens
data-kind-image = Afbeelding
data-kind-text = Tekst
data-kind-table = Tabel
data-kind-pdf = PDF
data-kind-sound = Geluid
data-kind-video = Video
data-kind-other = Bestand
data-upload-title = Bestanden toevoegen
data-upload-files = Kies bestanden
data-upload-hint = Hoogstens { $count } bestanden tegelijk. Bestaat de naam al, dan krijgt het nieuwe bestand een andere.
data-upload = Toevoegen
data-folder-title = Map maken
data-folder-name = Naam van de map
data-folder-make = Map maken
data-name-refused = Deze naam kan niet. Gebruik geen schuine streep en begin niet met een punt.
data-name-taken = De naam { $name } is hier al in gebruik. Kies een andere.
data-share = Delen
data-delete = Verwijderen
data-delete-folder = Map verwijderen
data-download = Downloaden
data-about = Over dit bestand
data-content = Inhoud
data-not-shown = Dit soort bestand tonen we hier niet. U kunt het downloaden.
data-not-whole = Dit is alleen het begin. Download het bestand om alles te lezen.
data-picture = Afbeelding { $name }
data-is-profile = In dit bestand staat uw WebID-profiel. Wie het leest, weet wie u bent en hoe u te bereiken bent.
data-replace-title = Inhoud vervangen
data-replace-file = Kies het nieuwe bestand
data-replace = Vervangen
data-delete-title = Verwijderen?
data-delete-question = Wilt u { $name } verwijderen?
data-delete-folder-question = Wilt u de map { $name } verwijderen, met alles wat erin ligt?
data-delete-members =
    { $count ->
        [0] De map is leeg.
        [one] In de map ligt één onderdeel.
       *[other] In de map liggen { $count } onderdelen.
    }
data-delete-final = Dit kan niet ongedaan worden gemaakt.
data-delete-profile = Hierin staat uw WebID-profiel. Zonder dat profiel kunt u zich nergens meer aanmelden. Daarom verwijderen wij het hier niet.
data-delete-many = Er ligt te veel in deze map om alles in één keer te verwijderen. Verwijder eerst mappen die erin liggen. Er is niets veranderd.
data-keep = Behouden
data-back = Terug naar mijn gegevens
data-fault-title = Dat is niet gelukt
data-refused = U hebt geen toegang hiertoe.
data-missing = Hier is niets. Misschien is het verwijderd of is het adres verkeerd.
data-changed = Intussen is dit door iemand of iets anders gewijzigd. Kijk opnieuw voor u verdergaat. Er is niets veranderd.
data-malformed = Het bestand past niet bij zijn soort. Regel { $line }: { $reason }
data-full = Er is geen plaats meer in deze opslag.
data-too-large = Het bestand is te groot.
data-broken-off = Het versturen brak af. Er is niets bewaard. Probeer het opnieuw.
data-not-possible = Dat kan niet. { $reason }
data-no-file = Kies eerst een bestand.
data-too-many-files = Dat zijn te veel bestanden tegelijk. De eerste zijn bewaard.
data-done-folder = De map is gemaakt.
data-done-uploaded = De bestanden zijn bewaard.
data-done-replaced = De inhoud is vervangen.
data-done-deleted = Het is verwijderd.
data-done-shared = Het is gedeeld.
data-done-unshared = De toegang is gewijzigd.

# Delen.
share-title = Wie mag bij { $name }?
share-own = Voor dit bestand gelden eigen regels.
share-own-folder = Voor deze map gelden eigen regels.
share-inherited = Hier gelden de regels van { $folder }. Zodra u iets wijzigt, krijgt dit onderdeel eigen regels.
share-who-may = Wie mag wat
share-agreements = Wie dit ook ziet, door een overeenkomst
share-agreements-none = Geen enkele overeenkomst laat dit zien.
share-agreements-more = Er zijn meer overeenkomsten dan hier bekeken zijn.
share-as-it-stands = Ziet de gegevens zoals ze zijn.
share-less-precise = Ziet de gegevens alleen minder nauwkeurig of als code.
share-figures = Ziet alleen cijfers over minstens { $least } mensen samen.
share-by-consent = Omdat u daarvoor toestemming gaf. U kunt die intrekken.
share-until = Tot { $moment }
share-you = U
share-everyone = Iedereen, ook wie niet is aangemeld
share-logged-in = Iedereen die is aangemeld, waar ook
share-group = De groep { $name }
share-may-read = mag kijken
share-may-write = mag toevoegen, wijzigen en verwijderen
share-may-add = mag toevoegen
share-may-control = mag beslissen wie toegang heeft
share-here-only = Alleen de map zelf, niet wat erin ligt
share-below-only = Alleen wat in de map ligt
share-conditional = Alleen onder bijkomende voorwaarden; die wijzigt u met een toepassing.
share-stop = Stoppen
share-stop-for = Niet meer delen met { $name }
share-add-title = Delen met iemand
share-add-folder = Dit geldt voor de map en voor alles wat erin ligt zonder eigen regels.
share-with = Met wie?
share-agent = Met één persoon of organisatie
share-webid = WebID van die persoon of organisatie
share-webid-hint = Bijvoorbeeld: https://pod.example/jan/profile/card#me
share-level = Wat mogen zij?
share-level-read = Alleen kijken
share-level-add = Kijken en toevoegen
share-level-write = Kijken, toevoegen, wijzigen en verwijderen
share-add = Delen
share-inherit = De regels van de map erboven weer laten gelden
share-inherit-explanation = De eigen regels vervallen dan.
share-back = Terug
share-changed = De regels zijn intussen gewijzigd. Kijk opnieuw voor u iets verandert.
share-level-missing = Kies wat zij mogen.
share-who-missing = Kies met wie u deelt.
share-webid-malformed = Vul een WebID in. Dat is een webadres dat begint met https://
share-self = Dit zou uw eigen toegang veranderen. Dat doen wij hier niet.
share-policies = De toegang tot deze opslag is geregeld met beleidsregels (ACP). Deze pagina toont of wijzigt die niet; gebruik een toepassing die dat kan.
