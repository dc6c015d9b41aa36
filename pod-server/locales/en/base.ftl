# The frame around every page.
skip-to-content = Skip to content
nav-label = Main navigation
nav-account = My account
nav-consent = What I share
nav-log = Who looked
log-out = Log out
language-label = Language
footer = Your data stays with you. You decide who sees it, and you see every use.
nav-datasets = What I offer
nav-data = My data
