# Hoe het account wordt geopend: passkeys, herstelcodes, sessies.
security-title = Aanmelden en beveiliging
security-again = Om hier iets te wijzigen, moet u zich eerst opnieuw aanmelden.
security-again-link = Opnieuw aanmelden
passkeys-title = Passkeys
passkeys-explanation = Met een passkey meldt u zich aan met uw vingerafdruk, gezicht of pincode op uw eigen toestel. Er is niets om te onthouden of te verklappen.
passkeys-none = U hebt nog geen passkey.
passkeys-unavailable = Passkeys kunnen op dit adres niet.
passkeys-full = U hebt het hoogste aantal passkeys. Verwijder er eerst een.
passkey-label = Hoe noemt u deze passkey?
passkey-hint = Bijvoorbeeld: telefoon, of sleutelhanger.
passkey-unnamed = Passkey
passkey-add = Passkey toevoegen
passkey-remove = Verwijderen
passkey-remove-which = Passkey { $name } verwijderen
passkey-used = Laatst gebruikt op { $date }
passkey-log-in = Aanmelden met een passkey
passkey-no-script = Een passkey werkt alleen met JavaScript. Zonder gaat het met uw wachtwoord.
passkey-failed = Dat is niet gelukt. Probeer het opnieuw, of gebruik uw wachtwoord.
recovery-title = Herstelcodes
recovery-explanation = Met een herstelcode komt u binnen als u uw wachtwoord en uw passkeys kwijt bent. Bewaar ze op papier, niet op het toestel waarmee u zich aanmeldt.
recovery-left =
    { $count ->
        [0] U hebt geen herstelcodes meer over.
        [one] U hebt nog één herstelcode.
       *[other] U hebt nog { $count } herstelcodes.
    }
recovery-made = Gemaakt op { $date }.
recovery-none = U hebt nog geen herstelcodes.
recovery-replaces = De oude codes werken dan niet meer.
recovery-make = Herstelcodes maken
recovery-new-title = Uw herstelcodes
recovery-once = Schrijf deze codes nu op. Ze worden hier maar één keer getoond. Elke code werkt één keer.
recovery-kept = Ik heb de codes bewaard
sessions-title = Waar u aangemeld bent
sessions-explanation = Herkent u iets niet? Beëindig het, en wijzig uw wachtwoord.
session-unnamed = Onbekend toestel
session-current = dit toestel
session-since = Aangemeld op { $moment }
session-end = Afmelden
session-end-which = { $name } afmelden
sessions-end = Alle andere afmelden
recover-title = Weer binnen met een herstelcode
recover-link = Wachtwoord kwijt?
recover-introduction = Vul een van uw herstelcodes in en kies een nieuw wachtwoord. U wordt daarna overal elders afgemeld.
recover-code = Herstelcode
recover-code-hint = Zestien letters en cijfers. Hoofdletters en streepjes maken niet uit.
recover = Wachtwoord bewaren
recover-failed = De naam of de herstelcode klopt niet, of de code is al gebruikt.
recover-operator = Geen herstelcodes? Wie deze server beheert, kan u een link geven waarmee u een nieuw wachtwoord kiest.
done-passkey-added = De passkey is toegevoegd.
done-passkey-removed = De passkey is verwijderd.
done-session-ended = Dat toestel is afgemeld.
done-sessions-ended = Alle andere toestellen zijn afgemeld.
done-recovered = Uw nieuwe wachtwoord is bewaard. Kijk na of u alle passkeys hieronder herkent.
