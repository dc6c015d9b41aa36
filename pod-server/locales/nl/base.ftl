# Het raam om elke pagina.
skip-to-content = Naar de inhoud
nav-label = Hoofdnavigatie
nav-account = Mijn account
nav-consent = Wat ik deel
nav-log = Wie keek
log-out = Afmelden
language-label = Taal
footer = Uw gegevens blijven bij u. U beslist wie ze ziet, en u ziet elk gebruik.
nav-datasets = Wat ik aanbied
nav-data = Mijn gegevens
