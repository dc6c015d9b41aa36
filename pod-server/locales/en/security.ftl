# How the account is entered: passkeys, recovery codes, sessions.
security-title = Logging in and security
security-again = To change something here, you have to log in again first.
security-again-link = Log in again
passkeys-title = Passkeys
passkeys-explanation = With a passkey you log in with your fingerprint, face or PIN on your own device. There is nothing to remember or to give away.
passkeys-none = You have no passkey yet.
passkeys-unavailable = Passkeys do not work at this address.
passkeys-full = You have as many passkeys as you may. Remove one first.
passkey-label = What do you call this passkey?
passkey-hint = For example: phone, or key ring.
passkey-unnamed = Passkey
passkey-add = Add a passkey
passkey-remove = Remove
passkey-remove-which = Remove the passkey { $name }
passkey-used = Last used on { $date }
passkey-log-in = Log in with a passkey
passkey-no-script = A passkey works only with JavaScript. Without it, use your password.
passkey-failed = That did not work. Try again, or use your password.
recovery-title = Recovery codes
recovery-explanation = A recovery code lets you in when you have lost your password and your passkeys. Keep them on paper, not on the device with which you log in.
recovery-left =
    { $count ->
        [0] You have no recovery codes left.
        [one] You have one recovery code left.
       *[other] You have { $count } recovery codes left.
    }
recovery-made = Made on { $date }.
recovery-none = You have no recovery codes yet.
recovery-replaces = The old codes then no longer work.
recovery-make = Make recovery codes
recovery-new-title = Your recovery codes
recovery-once = Write these codes down now. They are shown here only once. Each code works once.
recovery-kept = I have kept the codes
sessions-title = Where you are logged in
sessions-explanation = Is there something that you do not recognise? End it, and change your password.
session-unnamed = Unknown device
session-current = this device
session-since = Logged in on { $moment }
session-end = Log out
session-end-which = Log { $name } out
sessions-end = Log all others out
recover-title = Get in with a recovery code
recover-link = Lost your password?
recover-introduction = Give one of your recovery codes and choose a new password. You will then be logged out everywhere else.
recover-code = Recovery code
recover-code-hint = Sixteen letters and digits. Capitals and hyphens do not matter.
recover = Save the password
recover-failed = The name or the recovery code is wrong, or the code was used before.
recover-operator = No recovery codes? Whoever runs this server can give you a link on which you choose a new password.
done-passkey-added = The passkey has been added.
done-passkey-removed = The passkey has been removed.
done-session-ended = That device is logged out.
done-sessions-ended = All other devices are logged out.
done-recovered = Your new password has been saved. Check that you recognise all passkeys below.
