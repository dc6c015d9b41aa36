# Logging in through another provider.
external-choices = Other ways to log in
external-with = Log in with { $provider }
external-title = Logging in through others
external-explanation = You can also log in here with an account that you have elsewhere.
external-link = Connect { $provider }
external-unlink = Disconnect
external-unlink-which = Disconnect { $provider }
external-failed-title = Logging in did not work
external-failed-explanation = You are not logged in and nothing was changed. Try again; if it goes wrong once more, log in another way.
external-unlinked-title = We do not know you yet
external-unlinked-explanation = You have logged in elsewhere, but no account here is connected with that. Log in here with your own account, and connect it on the page of your account.
external-taken-title = This cannot be connected
external-taken-explanation = It is already connected with another account here, or your account has too many connections. Nothing was changed.
