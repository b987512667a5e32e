"""The words that make a street a street, in the languages that write Latin letters, and those of post boxes, flats and regions.

Facts gathered by hand from the addressing guides of postal services (USPS Publication 28, UPU S42) and from daily use.
"""

from tunesmith.data.anonymise.word_lists import words

ENDINGS = words(
    "street st road rd avenue ave av lane ln drive dr boulevard blvd court ct close crescent cres place pl square sq terrace ter terr way "
    "parkway pkwy highway hwy circle cir trail trl alley plaza row walk mews grove gardens gdns quay esplanade parade loop path turnpike "
    "tpke expressway expy freeway fwy route rte pike crossing bypass causeway rise vale yard wharf heights hts extension ext motorway crossroad crossroads"
)
"""Stand behind a street's name; with a house number before it they make an address."""

MORE_ENDINGS = words(
    "bend branch bridge brook burg camp canyon cape cliff club common corner course cove creek crest curve dale dam divide estate falls "
    "ferry field flat ford forest forge fork fort garden glen green harbor haven hill hollow inlet island isle junction key knoll lake land "
    "landing light loaf lock lodge mall manor meadow mill mission mount mountain neck orchard oval park pass passage pine plain point port "
    "prairie radial ramp ranch rapid rest ridge river roads run shoal shore skyway spring spur station stravenue stream summit throughway "
    "trace track trafficway tunnel union underpass valley via viaduct view village ville vista wall well"
)
"""Rarer ones, which are also words of their own: believed only inside an address."""

INWARD = words(
    "straße strasse straat gasse allee damm platz gata gatan gade vägen vegen vegur veien stræde torget stigen stien bakken svingen "
    "terrasse stræti braut katu laan dijk plein gracht kade singel steeg utca körút ulica ulice iela gatvė tänav puiestee maantee sokak caddesi "
    "centret vangen plassen løkken parken vænget markt promenade"
)
"""Close a street's name in one word with it, or stand behind it: `Hauptstraße 5`, `Arany utca 3`."""

SHORT_INWARD = "weg tee põik vej veg väg gate gaten tie kuja polku straße str sgt u út útja tér ter tn mnt pst vei tun"
"""Like `INWARD`, but short: only inside a word of eight letters or more, or behind a name and before a number."""

OPENINGS = (
    r"rua|rue|via|viale|vicolo|piazza|piazzale|corso|largo|lungomare|calle|c/|cl\.|cra\.?|carrera|avenida|av\.?|avda\.?|plaza|pza\.?|paseo|"
    r"pº|camino|cami|carrer|carretera|ctra\.?|"
    r"ronda|travesía|travessera|avenue|boulevard|bd|place|chemin|allée|allee|impasse|route|quai|cours|sentier|ul\.?|ulica|al\.|aleja|os\.|"
    r"osiedle|pl\.|plac|nám\.?|náměstí|třída|strada|str\.|calea|bulevardul|"
    r"aleea|rruga|οδός|λεωφόρος|λεωφ\.?|praça|praceta|travessa|estrada|rodovia|alameda|beco|jalan|jl\.|trg|rúa|piazzetta|πλατεία|plateia|"
    r"avenija|bulevar|šetalište|obala|cesta|náves|sídliště|улица|ул\.|проспект|пр\.|am|an der|auf der|im|zum|zur"
)
"""Stand before a street's name."""

LONE_OPENINGS = (
    r"rua|rue|calle|avenida|avda\.|ul\.|ulica|boulevard|avenue|chemin|allée|impasse|viale|vicolo|piazza|plaza|praça|strada|carrer|λεωφόρος"
)
"""Those of them that stand for nothing else, number or not."""

UNITS = (
    r"suite|ste\.?|apt\.?|apartment|unit|flat|floor|fl\.|room|rm\.?|appt?\.?|office|level|lot|bldg\.?|building|piso|etage|stock|dept\.?|box|"
    r"postbox|no\.?|nº|#"
)

REGIONS = words(
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV "
    "WI WY DC PR AB BC MB NB NL NS ON PE QC SK NSW VIC QLD ACT TAS AA AE AP"
)
