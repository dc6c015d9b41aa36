# The data browser: what lies in one's own storage.
data-title = My data
data-introduction = These are your storages. Choose one to see what is in it.
data-storage = Storage { $name }
data-trail = Where you are
data-count =
    { $count ->
        [one] One item
       *[other] { $count } items
    }
data-empty = There is nothing here yet.
data-name = Name
data-kind = Kind
data-size = Size
data-modified = Changed
data-more = Next
data-first = Back to the beginning of the list
data-address = Address on the web:
data-kind-folder = Folder
data-kind-data = Data
data-kind-image = Image
data-kind-text = Text
data-kind-table = Table
data-kind-pdf = PDF
data-kind-sound = Sound
data-kind-video = Video
data-kind-other = File
data-upload-title = Add files
data-upload-files = Choose files
data-upload-hint = At most { $count } files at a time. If a name exists already, the new file gets another one.
data-upload = Add
data-folder-title = Make a folder
data-folder-name = Name of the folder
data-folder-make = Make the folder
data-name-refused = This name cannot be used. Leave out slashes, and do not begin with a full stop.
data-name-taken = The name { $name } is in use here. Choose another.
data-share = Share
data-delete = Delete
data-delete-folder = Delete folder
data-download = Download
data-about = About this file
data-content = Content
data-not-shown = We do not show this kind of file here. You can download it.
data-not-whole = This is only the beginning. Download the file to read all of it.
data-picture = Image { $name }
data-is-profile = Your WebID profile is in this file. Whoever reads it knows who you are and how to reach you.
data-replace-title = Replace the content
data-replace-file = Choose the new file
data-replace = Replace
data-delete-title = Delete?
data-delete-question = Do you want to delete { $name }?
data-delete-folder-question = Do you want to delete the folder { $name } with everything in it?
data-delete-members =
    { $count ->
        [0] The folder is empty.
        [one] There is one item in the folder.
       *[other] There are { $count } items in the folder.
    }
data-delete-final = This cannot be undone.
data-delete-profile = Your WebID profile is in here. Without it you could not log in anywhere any more. That is why we do not delete it here.
data-delete-many = There is too much in this folder to delete it all at once. Delete folders in it first. Nothing was changed.
data-keep = Keep
data-back = Back to my data
data-fault-title = That did not work
data-refused = You have no access to this.
data-missing = There is nothing here. Perhaps it was deleted, or the address is wrong.
data-changed = Somebody or something else has changed this in the meantime. Look again before you go on. Nothing was changed.
data-malformed = The file does not fit its kind. Line { $line }: { $reason }
data-full = There is no room left in this storage.
data-too-large = The file is too large.
data-broken-off = Sending broke off. Nothing was kept. Try again.
data-not-possible = That is not possible. { $reason }
data-no-file = Choose a file first.
data-too-many-files = Those are too many files at a time. The first ones were kept.
data-done-folder = The folder has been made.
data-done-uploaded = The files have been kept.
data-done-replaced = The content has been replaced.
data-done-deleted = It has been deleted.
data-done-shared = It has been shared.
data-done-unshared = The access has been changed.

# Sharing.
share-title = Who has access to { $name }?
share-own = This file has rules of its own.
share-own-folder = This folder has rules of its own.
share-inherited = The rules of { $folder } count here. As soon as you change something, this item gets rules of its own.
share-who-may = Who may do what
share-agreements = Who else sees this, under an agreement
share-agreements-none = No agreement shows this.
share-agreements-more = There are more agreements than were looked at here.
share-as-it-stands = Sees the data as it is.
share-less-precise = Sees the data only less precisely or as a code.
share-figures = Sees only figures about at least { $least } people together.
share-by-consent = Because you consented to it. You can withdraw that.
share-until = Until { $moment }
share-you = You
share-everyone = Everyone, also without logging in
share-logged-in = Everyone who has logged in, wherever
share-group = The group { $name }
share-may-read = may look
share-may-write = may add, change and delete
share-may-add = may add
share-may-control = may decide who has access
share-here-only = Only the folder itself, not what is in it
share-below-only = Only what is in the folder
share-conditional = Only under further conditions, which you change with an application.
share-stop = Stop
share-stop-for = Stop sharing with { $name }
share-add-title = Share with somebody
share-add-folder = This counts for the folder and for everything in it that has no rules of its own.
share-with = With whom?
share-agent = With one person or organisation
share-webid = WebID of that person or organisation
share-webid-hint = For example: https://pod.example/jan/profile/card#me
share-level = What may they do?
share-level-read = Only look
share-level-add = Look and add
share-level-write = Look, add, change and delete
share-add = Share
share-inherit = Let the rules of the folder above count again
share-inherit-explanation = The rules of its own are then gone.
share-back = Back
share-changed = The rules have been changed in the meantime. Look again before you change anything.
share-level-missing = Choose what they may do.
share-who-missing = Choose with whom you share.
share-webid-malformed = Give a WebID. That is a web address that begins with https://
share-self = This would change your own access. We do not do that here.
share-policies = The access to this storage is governed by policies (ACP). This page does not show or change those; use an application that can.
