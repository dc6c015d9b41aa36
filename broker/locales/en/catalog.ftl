catalog-title = Catalogue
catalog-intro = Data that its owners offer. The data itself stays with them.
skip-to-content = Skip to content
language-label = Language
search-label = Search words of title, description, keywords or owner
search-button = Search
results-count = { $count ->
    [one] { $count } dataset
   *[other] { $count } datasets
}
results-order = Order: what contains more of your words comes first, then by title. It is the same for everyone and not for sale.
members-stale = These members do not answer now; we show what they offered last: { $members }.
dataset-owner = Member
dataset-access = Access
access-open = Open: no agreement needed
access-agreement = After an agreement with the owner
dataset-keywords = Keywords
dataset-address = Address
offer-terms = Terms of the offer
