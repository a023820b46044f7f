"""The word lists of the privacy stage: words of friendly aliases, words that are names too, and nicknames."""

# ruff: noqa: SIM905 - lists of words read best as words

from __future__ import annotations

__all__ = ["ADJECTIVES", "LABELS", "NICKNAMES", "NOUNS", "PARTICLES", "PRONOUNS", "WORDS"]

ADJECTIVES = tuple(
    """
    Agile Airy Alpine Ample Apt Arctic Astral Atomic Balmy Blithe Boreal Bouncy Brave Breezy Bright Brisk Bubbly
    Calm Candid Cheery Chirpy Civil Classic Clever Coastal Cobalt Comic Copper Coral Cosmic Cosy Crimson Crisp
    Curious Dapper Daring Deft Dreamy Droll Eager Earnest Easy Elegant Epic Fabled Famous Fancy Festive Fluent
    Fluffy Fond Frosty Gallant Gentle Gilded Glad Gleaming Glossy Golden Grand Happy Hardy Hearty Honest Humble
    Indigo Jaunty Jazzy Jolly Jovial Joyful Keen Kindly Lively Lofty Loyal Lucid Lunar Lyric Magic Magenta
    Mellow Merry Mighty Mild Minty Modest Musical Neat Nimble Noble Northern Olympic Orange Pacific Patient
    Peaceful Perky Placid Playful Plucky Plush Polar Polite Purple Quick Quiet Radiant Rapid Regal Rustic
    Scarlet Serene Shiny Silent Silky Silver Smiling Snappy Snowy Solar Sonic Spry Stellar Sturdy Sublime Sunny
    Super Supple Swift Teal Tidy Tropical Turquoise Upbeat Valiant Velvet Vibrant Violet Vivid Warm Wandering
    Whimsical Witty Zany Zesty
    """.split()
)
"""First words of aliases: kind in English, and no one's usual name."""

NOUNS = tuple(
    """
    Acacia Albatross Alpaca Antelope Armadillo Avocado Axolotl Badger Bamboo Baobab Beaver Begonia Bison
    Blackbird Bluebell Bonsai Buffalo Bumblebee Butterfly Buttercup Camellia Capybara Caracal Cardinal Caribou
    Cashew Cedar Chameleon Cheetah Chickadee Chinchilla Chipmunk Cicada Clover Condor Cormorant Cougar Coyote
    Crane Cricket Crocus Curlew Cypress Dahlia Dandelion Dolphin Dormouse Dragonfly Eagle Egret Elk Ermine
    Eucalyptus Falcon Fennel Ferret Fern Finch Firefly Flamingo Foxglove Gannet Gazelle Gecko Geranium Gibbon
    Ginkgo Giraffe Goldfinch Grebe Grosbeak Hamster Hare Hedgehog Heron Hibiscus Honeybee Hoopoe Hornbill
    Hummingbird Hyacinth Ibex Ibis Iguana Impala Jacaranda Jackdaw Jaguar Juniper Kangaroo Kestrel Kingfisher
    Kiwi Koala Kookaburra Ladybird Lapwing Larch Lemur Leopard Lichen Linnet Lynx Macaw Magnolia Magpie Manatee
    Mango Mangrove Manta Maple Marigold Marmot Meerkat Mongoose Moose Mulberry Narwhal Nautilus Nightingale
    Nuthatch Ocelot Octopus Okapi Orca Orchid Oriole Osprey Otter Owl Palmtree Panda Pangolin Panther Papaya
    Parakeet Partridge Peacock Pelican Penguin Petrel Petunia Pheasant Pineapple Platypus Plover Pomelo
    Porcupine Puffin Puma Quail Quokka Quoll Rabbit Raccoon Redwood Reindeer Roadrunner Saffron Sandpiper
    Seahorse Sequoia Skylark Snowdrop Sparrow Squirrel Starfish Starling Stork Sunbird Sunflower Swallow Swan
    Tamarin Tanager Tapir Tern Thistle Thrush Toucan Tulip Turtle Viscacha Wagtail Wallaby Walnut Warbler
    Waxwing Weaver Whale Wisteria Wolverine Wombat Woodpecker Wren Yak Zebra Zinnia
    """.split()
)
"""Second words of aliases: animals and plants."""

PARTICLES = frozenset(
    """
    da das de del della der den des di do dos du e el la las le les lo los van von vom zu zum zur ten ter het of
    the and y bin ibn bint ben abu al ul bar af av på und et ap o a os as san santa sao saint st mc mac jr sr ii
    iii iv junior neto filho filha sobrinho
    """.split()
)
"""Parts of names that are no name by themselves."""

LABELS = frozenset(
    """
    tia tio tias tios avo vovo vo primo prima dr dra doutor doutora doctor prof profa professor professora mr
    mrs ms miss sir madam sra sr senhor senhora seu dona don dona doña aunt auntie uncle cousin grandma grandpa
    granny coach boss chefe work trabalho faculdade school escola college university uni office escritorio gym
    academia church igreja football futebol soccer tennis yoga neighbour neighbor vizinho vizinha landlord
    plumber encanador eletricista pedreiro uber taxi delivery cell cel celular mobile phone home casa novo nova
    new old velho velha number numero whatsapp business loja shop store padaria pizzaria restaurante bar cafe
    hotel clinic clinica dentist dentista doctor vet amigo amiga friend brother sister irmao irma mae mum mom
    dad pai father mother wife husband marido esposa namorado namorada filho filha son daughter baby bebe grupo
    group team time admin company empresa ltda inc gmbh pizza pizzaria burger sushi food comida lanche padeiro
    market mercado feira pet pets dog cat flowers tour tours travel viagem viagens turismo guide guia
    barber barbearia salon salao nails unhas hair cabelo car carro auto garage oficina bank banco insurance
    seguro lawyer advogado advogada accountant contador electric gas agua water internet tech computer dev
    design photo foto fotos film filme music musica band banda dance danca running corrida bike surf beach praia
    mountain trip class turma curso course lessons aula student aluno aluna teacher parents pais kids criancas
    building predio condominio street rua volei basketball basquete cricket rugby tenis crossfit pilates dieta
    nutri psico fisio driver motorista nanny baba cleaner faxina diarista manager gerente sales vendas marketing
    rh hr ceo cto it ti office lab hospital farmacia pharmacy vet from with and the app bot chat info suporte
    support family familia
    """.split()
)
"""Words that people put beside a name in their contacts ("Ana School"): part of the whole name, never a name alone."""

PRONOUNS = frozenset(
    """
    alguem alguien dich dir du everyone iemand ihr je jemand jij jullie lei me moi nos sen sie siz someone te ti
    toi tu u us usted ustedes vc voce voces voi vos vous we you your yourself вы ты
    """.split()
)
"""Who a system notice may name without naming anybody."""

WORDS = frozenset(
    # English words that are names, and short words that beginnings of names fall together with
    """
    val free series beta carry deny denies reg wall mon ang conc deco dolor abi able ace act ada add admiral aim
    air alan ale all alp also amber amen amp and angel angle ann ant any ape apple april arc arch archer are
    arena ark arm art ash ask asp aspen ate aura august aunt aurora autumn ave away axe baby bad bag baker bale
    ball ban band bank bar barb bard bark baron barn base basil bass bat bath bay beach bean bear beat beau beck
    bed bee beer bel bell belle bend berg berry best bet big bill bin bird bishop bit black blake bless bliss
    blue blush bob body bold bolt bond bone book boom booth boots bore boss both bow bowl box boy brad bran
    brand brave bread break bridge bright brook brown brush buck bud buddy bull burn bus bush bust but butler
    butter buy bye cab cal calf call cam came camp can candy cane cap cape car card care carol carp cart carter
    case cash cast cat cave cedar ceil cel cell chance chap char chase chat check chef cher cherry chess chester
    chic child chili chin china chip chris christian church city clan clark clay clean clear clem cliff clip
    close cloud club coal coat cod cody cold cole colt come con cook cookie cool coop cooper cop coral core corn
    corner corny cost cot count court cow crane crew cross crow cry crystal cub cup cure curt cut cyan dad daisy
    dale dam dame dan dance dane dang dare dark dash dat date daughter dave dawn day dead deal dean dear deb
    deep del delta den denim dense desk dew dial diamond dice did die dig dim dime din diva dive doc dog doll
    dolly dom don done donna door dot dove down doze drake draw dream drew drink drop dry duck due duke dull dun
    dune dust dusty dutch each earl ear early earn earth ease east easter eat echo eden edge edit egg ego elf
    elite elm else emir end era ere eric ester eve even ever evil exe eye fab face fact fair faith fall fan far
    farm farmer fast fat fate fawn fay fed fee feel fell fence fer fern few field fig file fill film fin find
    fine fire first fish fisher fit five fix flag flat fleet flint flo flora florence flower fly foe fog fold
    food foot for ford forest form fort forth fortune foster four fox fran franc frank frankie fred free french
    friday friend from frost fuel full fun fund gab gabby gail gal gale gap garden gas gate gay gem gene gentle
    get giant gift gig gin ginger girl give glad glade glee glen gloria glory glue god gold golden good gore got
    grace grant grass gray green grey grin grit grove grow guest guide gun gus guy gym had hail hair hal hale
    half hall ham han hand hank hap happy har hard hare harm harmony harp harper harry has hat hawk hay haze
    hazel head heart heath heather heaven hel held helen hell help hem hen her herb here hero hey high hill him
    hip his hit hob hog hold holiday holly home honest honey honor hood hook hop hope horn hose host hot hour
    house how hub hug hum hun hunt hunter ice icon idea ill imp inch ink inn into iris iron island isle issue
    itch item ivory ivy jack jacket jade jam jar jasmine jasper jaw jay jazz jean jeans jerk jersey jest jet
    jewel jig job joe john join joke jolly jose joss jot josh joy joyce jug jul july jump june jury just keen
    keep keg ken kerry key kid kim kin kind king kit kite knight knit know lab lace lad lady lake lam lamb lance
    land lane lap large lark lash lass last late laurel law lawn lay lea lead leaf lean leap led lee left leg
    lemon len leo les less let lettuce level lex liberty lie life light like lil lily lime lin line link lion
    lip list lit live liz load loan lock log london lone long look loop lord lore lot lotus loud louis love low
    loyal luck lucky lug lull lunch lung lure lux mac mace mad made magic maid mail main major make male malt
    mam man mane mango manly manny many map maple mar marble march mare margin maria marina marine mark market
    marsh marshall mart martin mary mas mash mask mason mass mast master mat match mate math matt matter
    maverick max may maya mayor maze mead meal mean meat med meet mel mellow melody melt memo men menu mercedes
    merci mercy mere merge merit merry mesh mess met mic mice mid mike mild mile miles milk mill miller mimi min
    mind mine mini mint mira mis miss mist misty mix moan mob mock mod mode mole mom mon monday money monk
    montana month moo mood moon moor mop more morgan morning moss moth move mud muff mug mum muse music must nag
    nail name nan nap nat nature nav navy near neat neck ned need neon nest net new news next nice nick nicky
    night nil nine nod noel nor norm north nose not note nova now nun nut oak ocean odd ode off oil old olive
    one only opal open opera ore oscar other our out own pace pack pad page paid pain paint pair pal pale palm
    pam pan pane pansy pant par paris park parker parry parson part party pass past pat patch path patience
    patsy patty paw pay pea peace peach pear pearl pebble peg pen penny pep pepper per perk pet peter petal
    petty phil pia pick pie pier piety pig pike pile pill pin pine pink pint pip piper pit place plain plan
    plate play pleasant plum poet pole polite polly pond pop pope poppy port porter pose posh post pot potter
    pour pray precious price pride prime prince print pro prom proud prudence pub puck pull pup pure put queen
    quick quin quiet quill quinn rab race rad rae rag rail rain raj ram ran randy rang range rank rap rape rare
    rash rat rate raven raw ray reach read real red reed reef reid rein rely ren rend rent rep rest rev rex rib
    ric rich richer rick rid ride riff rig right rim ring rio rip rise rita ritz river road roam rob robe robin
    rock rocky rod rode role roll roman romance rome romeo rone roof rook room root rope rory rosa rosary rose
    rosemary rosy rot round row royal rub ruby rude rue rug ruin rule rum run rush russ rust rusty ruth rye sab
    sable sac sack sad safe sag saga sage said sail sal sale sally salt sam same san sand sandy sane sang sap
    sash sat saturday saul save savannah saw say scarlet scene scot scout sea seal sean season seb sec see seed
    sel self sell sense sep serene set sew sha shade shadow shah shan shane sharp shaw she shed sheer shell
    shelly sher sheridan shin ship shop shore short shy sid side sierra sigh sign sill silly silver sim sin sing
    singer sip sir sis sit six size ski skill skin skip sky slater slim slip sly smart smith snow snowy soap sob
    sod sofa soft soil sol sold sole solo some son song sonny soon sophist sore sort soul sound soup south spa
    sparrow spec spencer spring spur spy star stark state stay stem step sterling stew still stone storm story
    stu stuart sub suck sue suit sum summer sun sunday sunny sup sure surf sus swan sweet sydney tab tag tail
    take tale tali tall tam tamara tame tan tang tank tanner tap tape tar tariff tart task tat tax taxi taylor
    tea teal team tear ted teddy tel tell temple ten tend tender tent term terra tess test text thai than that
    the thea them then theo theory there they thick thin thing this thom thor thorn three tic tick tie tiger
    tiff till tim timber time tin tina tiny tip tit toad toby toe together tom tomb tome ton tone tong tony too
    tool top tory tot touch tough tow town toy track tram tray tree tres trick trim trinity trip trish trist
    troy true trust try tub tuck tucker tue tuesday tug tulip tun tune turn turner twig two ugly unity urban urn
    use val vale valid vamp van vane vat verb verity vest vet via vic vice vicar victor victory vie view vig
    vile vin vine viola violet virgin virgo vista vital viva viv vivid void vol vow wad wade wait wake walk
    walker wall wally walt wan wand want ward ware warm warn warren was wash watt wave way wayne web wed weed
    week well wen were west wet what wheat when whet whim white who why wide wig wild will willow win wind wine
    wing winner winnie winter wise wish wit wolf won wonder wood woody wool word work world worth wren wright
    xan yam yard yes yet young your yule zen zest zip zone zoo
    """.split()
    # The same in Portuguese, some Spanish
    + """
    abel abre abril acha acho ada adela ade adeus adora agora agosto agua aguia ainda ala alba albo alegre
    alegria alem alfa alga algo ali alma almeida alta alto alva alvo alvorada ama amada amado amanda amaral
    amavel amiga amo amor anciao anda andar andre andrade andorinha angelica angelo anjo ano anos ante antes ao
    apenas aquino ara arte arvore asa assis ata ate aula aurea aurora avila azul baia bala bandeira baixo balao
    barata barbosa barra barreto barro barros basta batista bebe beca beija bela belas belem belo bem benedita
    benta bento bia boa bom bonfim bonita bonito borba borges braga branca branco brandao brasil brava bravo
    brisa brito bruna bruta bruto cabo cabral cada cadu cai caio cala caldas caldeira calma cama camara camargo
    campo campos candida candido cao capa cara caras cardoso cari carina carinho carinhoso carla carlo carmo
    carne carneiro caro carro carta carvalho casa casada casado caso castanha castelo castro cata causa
    cavalcante cazuza cela cem certa certeza cesar ceu chagas cher cida cisne clara claras claro coelho coisa
    com como conceicao conde conta cor coracao cordeiro corrida corta cortes costa costas couto coutinho cravo
    cria crista cristo cruz cunha cura dado dali dama dani dante dar data davi deia deixa dela dele deles delfim
    dela demais denis depois dera deus dez dia dias diz dia dina dito doce doces dois domingas domingo domingos
    dona dora dores duarte duas duque dura duro edu ela elas ele eles eli elo ema encarnacao era eram esmeralda
    esperanca essa essas esse esta estar estas este estrela estrelas eterna eva fabula fada falcao fala faria
    farias fato fava fe feira feliz felizes fera fernanda ferra ferraz ferreira festa fiel figueira filha fim
    fina fio fita flor flora flores fogo fonseca fonte fora forte fortes franca franco frei freire freitas fria
    frio frota fui galo galvao gama garcia gata gato gema gente germano gil gisele gloria goes graca gracas
    grande grilo guarda guerra guia hora horta iara ida ide ilha ima imaculada india inda inez inocencia ira
    iris irma isa isso ja jardim jasmim jesus joia jorge jovem judas julho junho justa justo juliana lado lago
    lagoa lapa lara lata laura leal leao leite lema lemos lera leve lia liga lima limas linda lindas lindo linha
    lira lirio lis lisa liso livia livre lobo logo loja longe lopes lourdes louro lua luar lucas lucro lugar
    luis luna luta luz maca macedo machado madeira madre magalhaes magna magno maia maio mais mal mala malta
    mana manda maneira manga manha manhas mano mansa manso manu mao mar mara maranhao marca marcal marco mares
    margarida mari maria mariano marinha marinho marques marte mata matar matias mato matos meia meio mel mela
    melo menina menino menos mes mesa mesma mesmo meta meu mico mila milagre milagres mim mina minas minha mira
    miranda mirra moca moda moeda moleza monte monteiro morais moreira morena moreno moro mota moura muito mundo
    muniz nada nara nasce nasci nascimento nata natal natalia nave neide nem nenê nessa nesse neta neve neves
    nina nobre nobrega noite nora nos nossa nota noto nova novas nove novo nunca nunes oliva oliveira onda ora
    osso ouro outra outro pacheco padilha pai paiva palma palmas palmeira papa par para parte passa passos pata
    patricio paula paulo pauta paz pedra pedras pedreira pedrosa pela pelo pena penha pera pereira perla perola
    pessoa piedade pilar pimenta pimentel pinha pinheiro pinho pinta pinto pires pires plana poema poeta pois
    pomba ponte pontes por porto pra praia prado prata preta preto prima primavera princesa prova pura puro
    quadros quase queijo queiroz quem quinta rabelo rainha raio ramo ramos rara raro rata rebelo rede regina
    rego rei reis rema remo reno resende ribeira ribeiro ricardo rica rico rima rios rita roberta rocha roda
    rodrigues rola roma romana romano romeiro romeu rosa rosado rosal rosario rosas rosto roxa roxo rua rubi rui
    sabia sai sala salgado salva salvador salve samba sampaio sangue santana santas santo santos sapo sara sarar
    saude saudade seca seis sela selma selva sem sempre senha ser sera serena sereno seria serra sete seu silva
    silvas silveira sim simao simples sina sino soares sobral soda sol solar soma sono sorte sou sousa sua suas
    tal talita tamara tania tao tarde tatu tavares teatro teia teixeira tela tema teo ter terca terra teto teve
    tina tira toda todo tom toma torre torres trem tres triste trigo tua tudo uma uns urso urbano uva vaga vai
    vale valente valeria valha vamos vao vara vargas vasco vaz veiga vela veloso vem ventura vera verao verdade
    verde veronica vez via viana vicente vida vidal vieira vila vilela vinha vinho viola violeta vir vira virgem
    virgilio vital vitoria viu viva vive viver voa voz xavier zeca zelo digo mau nela nato caca lula socorro toto
    nino dea concha nena cisco tono tata bio ria curro checo
    """.split()
    # Some Italian, French, German and Dutch
    + """
    vado vero mani beni anti serie crisi verita soci monti arti angeli nati pris matou mer fil tete pres lupe lau wolle
    jan trui koos val kat gat wil wel hele roos blanche marguerite constant fleur fleurs bianca stella blanca reyes
    estrella dolores consuelo
    """.split()
    # Russian
    + """
    света свету свете слава славу поля полю поле полеи роман романа вера веру вере надежда надежду любовь мила соня
    гена гены рома ром тима маия роза лев ник жена жены жене жену женои люди людеи люду кости костеи костя люби любои
    любая любую любом любого любому лени дани розы розу розе розои веры верои надежды надежде надеждои любви любовью
    славы романы романе романом романов льва льву львы львов павлин павлина павлины кость костью костями светом свет
    петь вить лен люд над вал толь дань коль милочка косточка
    тема тему темы теме темои тем рая раю рае тома тому том
    """.split()
)
"""Everyday words without accents, in lower case, that are names too or that a beginning of a name may equal."""

# These stand above because a beginning of a name equals them; as whole names they are nothing but names.
_ONLY_NAMES = frozenset(
    """
    ada alan ale alex amanda andre ann bea bel ben bia borges bruna cadu caio cardoso carla carlo carina chris
    cole dan dani dave davi donna duarte edu eric fernanda ferraz fred frankie garcia gil gisele helen iara inez
    isa jane joe john jorge jose josh juliana laura len leo lex lia livia liz lopes louis lucas luis maria mari
    manu matt maya mel mila mike mimi nat natalia ned nick nicky nina nunes patsy paula paulo peter phil pires
    queiroz rodrigues rae reid ren ric ricardo rick rita roberta romeu rory rui russ ruth sam sara saul seb sean
    selma shane sid simao soares sousa steph stu stuart talita tamara tania tavares ted teo thea theo theo tess
    tiff tim tina toby tom tony trish val valeria vasco vera veronica vic viv xavier zeca sher shelly jasper kim
    ken kerry liz liz marina regina spencer taylor morgan marshall warren wayne wally gus hal hank
    mary victor vitoria carol bob sally jay nora dora abel adela benedita angelica cesar cida dante delfim eli eva
    germano jesus lara lisa lourdes marcal
    mariano magalhaes macedo moura nara neide otto patricio resende ribeiro ribeira salvador sampaio sobral
    vicente vidal vilela virgilio viana vargas vaz becky clem cody dana ester gail jack kerry kim meg noel
    sheridan stan tyler virginia wendy andrade aquino assis avila barreto batista borba braga brandao camargo
    cavalcante chagas coutinho cunha galvao lemos muniz padilha queiroz rabelo siqueira cazuza bento ema esmeralda
    cristo conceicao jean iris lear leon leona mack maggie marge marco mateo melina mona myra nell nia nola ola ona
    opie oscar
    """.split()
)

WORDS = WORDS - _ONLY_NAMES

_NICKNAMES = """
    adriana: dri drica adri; adriano: dri adri; alberto: beto berto betinho al albert; alessandra: ale lessa
    sandra; alexandra: xanda ale alex sandra; alexandre: xande xandi xandao ale alex alec lex; alexander: alex
    al sasha lex xander alec; aline: li liline; ana: aninha naninha anoca nana anita; anderson: andin dersin
    ande; andrea: dea deia deinha andy; andre: dede deco andrezinho; antonia: toninha tonia nia; antonio: toni
    tonho toninho tonico totonho tony tuca tom; aparecida: cida cidinha; augusto: guto gugu; barbara: babi barb
    barbie babs; beatriz: bia bea biazinha bibi; bernardo: be bernie nado; bruna: bru bruninha; bruno: bru
    bruninho; camila: mila camilinha cami mi; carlos: carlinhos carlao cadu caca; carolina: carol carolzinha
    lina cacau; caroline: carol carrie caro lina; catarina: cat cati kati catita nina; cecilia: ceci cici cissa;
    clara: clarinha cla; claudia: clau claudinha; claudio: clau claudinho; cristiane: cris criszinha tiane;
    cristina: cris tina; daniel: dani dan danny niel; daniela: dani dada; debora: debi deb dede; diego: di
    dieguinho; douglas: doug dodo; edson: edinho; eduarda: duda dudinha edu; eduardo: edu dudu duda eddy;
    elisabete: bete beth betinha; elizabete: bete beth; elizabeth: liz lizzie lizzy beth betty betsy eliza libby
    lisa bess; fabiana: fabi bia; fabio: fabinho fabi binho; felipe: lipe fe felipinho; fernanda: nanda fe fefa
    nandinha fer; fernando: nando fe fefo nandinho fer; flavia: fla flavinha; flavio: fla flavinho; francisca:
    chica fran chiquinha; francisco: chico kiko chiquinho paco pancho fran; frederico: fred fredinho lico;
    gabriel: gabi biel gab gabe; gabriela: gabi bibi biela gabs gaby; giovanna: gi gio giozinha; guilherme: gui
    guiga gugu guizinho; gustavo: gu guga gustavinho tavo; helena: lena leninha nena heleninha; henrique: rique
    kike riquinho ique; igor: igao; isabel: bel isa belinha bebel; isabela: isa bela belinha bebela; isabella:
    isa bella belle izzy bell; jessica: jess jessie je jessy; joana: jo joaninha jojo; joao: joaozinho jao joca
    janjao jp juca; joaquim: quim quinzinho joca; jorge: jorginho jojo; jose: ze zeca zezinho zezo zeze pepe
    zito juca; julia: ju juju julinha jules; juliana: ju juju jujuba juli; julio: ju julinho; karina: ka kari;
    larissa: lari lala issa; leandro: le lele leco; leonardo: leo leozinho nardo; leticia: le lele lelê ticia;
    lorena: lo lola; luana: lu lua luaninha; lucas: lu luquinhas luca luke; luciana: lu lulu luci ciana;
    luciano: lu lulu; luis: lu luisinho lula lulinha; luisa: lu lulu luisinha isa; luiz: lu luizinho lula;
    luiza: lu lulu iza; manuel: manu mane manolo neco manny; manuela: manu manuzinha nela; marcela: ma cela
    celinha; marcelo: ma celo marcelinho; marcia: ma marcinha; marcio: ma marcinho; marcos: marquinhos marcao
    marco kinho; maria: mari mariazinha mariquinha cota maricota; mariana: mari marianinha nana; mateus: mat
    teteu matt; matheus: mat teteu theus; mauricio: mau mauricinho; michele: mi mimi micha; monica: mo
    moniquinha nica; natalia: nati nat naty tata natinha; nicolas: nico nick; patricia: pati paty pat tricia
    patinha; paula: paulinha pa; paulo: paulinho paulao; pedro: pedrinho pepe pedroca pedrao; priscila: pri pris
    priscilinha; rafael: rafa fael rafinha raf; rafaela: rafa fafa rafinha; raquel: quel raquelzinha kel;
    rebeca: beca bequinha be; renata: re renatinha nata; renato: re renatinho nato; ricardo: rica rick
    ricardinho cado cadinho; roberta: beta betinha ro; roberto: beto betinho robertinho bob ro; rodrigo: digo
    rod digao ro guigo; rogerio: ro roge; rosana: ro rosaninha; samuel: samuca samu sam sammy; sandra: sandrinha
    san; sebastiao: tiao bastiao; sergio: serginho; silvia: sil silvinha; simone: si sissi; sofia: so fifi
    sosso; tatiana: tati taty tatinha; teresa: tete teca terezinha tere terry tess; thais: tata thata; thiago:
    thi titi thiaguinho; tiago: ti titi tiaguinho; valeria: val lela; vanessa: van nessa vane; vera: verinha;
    veronica: ve nica vero ronnie; vinicius: vini vina vinny; vitor: vitinho vi vitao; vitoria: vi vivi toia;
    viviane: vivi vi viv; yasmin: yas yaya mimi; wagner: waguinho; walter: wal waltinho walt wally; abigail:
    abby gail abbie; albert: al bert bertie albie; alfred: alf alfie fred freddie; alice: ali allie; alison: ali
    allie; amanda: mandy amy manda; andrew: andy drew; angela: angie ange; anna: annie anya nan; anne: annie
    nan; anthony: tony ant; arthur: art artie tutu; benjamin: ben benny benji benjy; bernard: bernie; bradley:
    brad; catherine: cathy cat kate katie cate kitty; katherine: kathy kat kate katie kitty kay; kathryn: kathy
    kat kate katie; charles: charlie chuck chas chip; charlotte: charlie lottie lotte char; christian: chris;
    christina: chris chrissy tina christie; christine: chris chrissy tina; christopher: chris kit topher;
    clifford: cliff; cynthia: cindy; david: dave davey davy; deborah: debbie deb debs debby; dennis: den denny;
    diana: di; donald: don donny donnie; dorothy: dot dottie dolly dory; edward: ed eddie ted teddy ned eddy;
    eleanor: ellie nell nora ella; emily: em emmy millie; emma: em emmy; eugene: gene; florence: flo florrie;
    frances: fran frannie; francis: frank fran; franklin: frank; frederick: fred freddie freddy rick; geoffrey:
    geoff jeff; george: georgie; gerald: gerry jerry; gregory: greg; gwendolyn: gwen wendy; harold: harry hal;
    harriet: hattie; henry: harry hank hal; isaac: ike zac; jacob: jake jakey coby; james: jim jimmy jamie jem
    jimbo; janet: jan; jeffrey: jeff; jennifer: jen jenny jenn; jeremy: jem jerry; joanna: jo joey; john: johnny
    jack jon johnnie; jonathan: jon jonny nathan jonty; joseph: joe joey jojo; joshua: josh; judith: judy;
    kenneth: ken kenny; kimberly: kim kimmy; kristen: kris; laura: laurie lala; lawrence: larry laurie; leonard:
    leo len lenny; lillian: lily lil; louis: lou louie; louise: lou lulu; margaret: maggie meg peggy greta marge
    margie madge daisy; martin: marty; matthew: matt matty; megan: meg; melissa: mel missy lissa; michael: mike
    mick mikey micky; michelle: shelly mich chelle; nancy: nan; natalie: nat; nathan: nate nat; nathaniel: nate
    nat; nicholas: nick nicky nico; nicole: nikki nic nicky; oliver: ollie olly; olivia: liv livvy ollie;
    pamela: pam; patrick: pat paddy rick; penelope: penny nell; peter: pete; philip: phil pip; phillip: phil
    pip; rachel: rach; raymond: ray; rebecca: becky becca bex; reginald: reg reggie; richard: rick dick rich
    ricky richie; robert: rob bob bobby robbie bert; roderick: rod; ronald: ron ronnie; rosemary: rose rosie;
    rosalind: ros roz; russell: russ; samantha: sam sammy; sarah: sally sadie; sara: sarinha sa; sebastian: seb
    bas bastian; sophia: sophie soph; stephanie: steph steffi; stephen: steve stevie; steven: steve stevie;
    susan: sue susie suzy; suzanne: sue suzy; terence: terry; theodore: ted theo teddy; theresa: terry tess
    tracy; thomas: tom tommy; timothy: tim timmy; valentina: val tina; victor: vic vico; victoria: vicky vic
    tori vicki; vincent: vince vinny; virginia: ginny; william: will bill billy liam willy; winifred: winnie
    fred; zachary: zach zack; alejandra: ale jandra; alejandro: ale jandro alex; concepcion: concha conchita;
    dolores: lola; enrique: quique kike; guadalupe: lupe lupita; guillermo: memo guille; ignacio: nacho; jesus:
    chucho chuy; juan: juancho juanito; mercedes: meche; miguel: migue mike guel miguelito; pilar: pili;
    rosario: charo; santiago: santi tiago yago; giuseppe: beppe peppe pino; giovanni: gianni vanni nino;
    johannes: hannes jo; maximilian: max maxi; katharina: kathi kati; franziska: franzi; elisabeth: lisa sisi
    elli lisbeth; friedrich: fritz; wolfgang: wolf wolfi
    """

_NICKNAMES_ELSEWHERE = """
    alexander: sandy sascha; siobhan: shiv; jose: zequinha zezao pepito josele chepe; roberto: betao; alberto:
    betao; francisco: xico chicao quico kico javi curro pacho cisco farruco; lourdes: lurdes lurdinha malu lou;
    antonio: totonio tonico tono tonino toto nino tonio; conceicao: ceica ceicao concha sao; domingos: mingos;
    raimundo: mundinho mundico; severino: biu bio; leandro: leo leandrinho; eduardo: du duzinho; filomena: filo
    mena; margarida: magui; manuel: manel nelo lolo manolito mane; rosario: charito; maria: mia maricarmen cotinha
    mary mieke rie ria marijke miep masha; fatima: fatinha; socorro: socorrinho; terezinha: tere teca; josefa: zefa
    zefinha pepa; josefina: zefinha pepi; osvaldo: vado valdo; oswaldo: vado valdo; ronaldo: ronny naldo; reginaldo:
    naldo regi; arnaldo: naldo; everaldo: veve; valdemar: vava dema; waldemar: vava dema; nelson: nelsinho; robson:
    binho; wellington: tom welly; emanuel: manu mane; emanuela: manu; ingrid: guiga; cassio: cassinho; cassia:
    cassinha; ivone: vone; iracema: cema; madalena: lena mada; magdalena: lena leni magda; mercedes: merche merce;
    monserrat: montse; montserrat: montse; teresa: tete maite; pilar: pilarin piluca; dolores: loli lolita lolin;
    manuela: manoli; jesus: suso chus; javier: javi; concepcion: conchi; inmaculada: inma; encarnacion: encarni
    encarna; esperanza: espe; purificacion: puri; asuncion: asun chon; consuelo: chelo consu; remedios: reme;
    milagros: mila; gregorio: goyo goio; rodolfo: fito rodo; adolfo: fito dolfo; alfonso: fonso; alfredo: fredi
    freddy; ernesto: tito; fernando: ferni fercho; hernando: nando; gonzalo: gonza chalo; ramon: moncho monchi;
    santiago: chago; sergio: checo; vicente: chente; hortensia: tencha; graciela: chela; isabel: chabela isa
    isabelita; begona: bego; nuria: nuri; inigo: inigui; joaquin: quino quim; jordi: jordiet; jorge: yorch;
    leopoldo: poldo; bartolome: bartolo tolo; rafael: rafi rafita; cayetana: tana; salvador: salva chava; beatriz:
    betty triz; rocio: chio; veronica: vero; yolanda: yoli; luisa: luli; jaime: jimmy jaumet; ursula: uschi ulla
    ursel ulli; elisabeth: liesl liesel lieschen bettina betti els betsy bep liesbeth; johanna: hanna hanni hanneke
    jopie; johannes: hansi hans johan jan hanno joop; katharina: katrin kathrin kathe kaethe trine rina; heinrich:
    heinz heini; heinz: heinzi; friedrich: fiete fritzi freddi; wilhelm: willi willy helmi; margarete: grete gretel
    gretchen margret; margarethe: grete gretel gretchen; maximilian: maxl maxi; ludwig: wiggerl lutz luggi; joseph:
    sepp seppl josi jo jojo; josef: sepp seppl jupp beppo; georg: schorsch; gertrud: trude trudi gerti; gerhard:
    gerd; hildegard: hilde hilda; karl: kalle karli; klaus: klausi; nikolaus: klaus nick niko; susanne: susi sanne
    sanni; stefan: steff steffen; stefanie: steffi; sebastian: basti wastl; andreas: andi andy andre; anneliese:
    anni liesl; annegret: anne anni; bernhard: bernd berni; christoph: chris stoffel stoffl; dorothea: dorle doro
    thea doortje; eberhard: ebi; ferdinand: ferdi nando; florian: flo; gabriele: gabi gaby; jakob: jockel jaki;
    leonhard: leo hartl; matthias: matze hias hiasi matti; michael: michi michel; rudolf: rudi rolf; sabine: bine
    binchen; siegfried: siggi; tobias: tobi; ulrich: uli ulli; ulrike: ulli uli rike; veronika: vroni; walburga:
    burgi; wolfgang:   wolfie; jurgen: jurgi; jorg: jorgi; anton: toni; therese: resi tete; theresia: resi;
    angelika: geli; barbara: barbel babsi; brigitte: gitte biggi gitti; cornelia: conny conni nelly corrie cor lia;
    franziska: franzi sissi; frederic: fredo fred; francoise: fanfan soisic; guillaume: guigui guillou; elodie: elo
    lolo; helene: leni lenou; etienne: titi tienou; jean: jeannot jeannou; jacques: jacquot jacky; pierre: pierrot;
    louis: loulou petit-louis; louise: loulou; marguerite: margot guite; francois: fanch fanfan; charles: charlot;
    henri: riri; robert: bebert; albert: bebert; gilbert: gilou bebert; bernard: nanard; leonard: nanard; gerard:
    gege; georges: jojo; josephine: josie jo fifine; catherine: cathou kati; christophe: chris totophe; dominique:
    domi doudou; isabelle: isa zaza babelle; jacqueline: jackie; mathieu: mat matou; matthieu: mat matou; nathalie:
    nath nat; nicolas: nico; philippe: fifi phil; sebastien: seb bastien; sophie: fifi; stephane: steph fanou;
    stephanie: fanny fanie; sylvie: syl; thierry: titi; veronique: vero; vincent: vinz; xavier: xav; alexandre: alex
    sacha; antoine: tonio toinou toine; aurelie: lili; auguste: gus; augustin: gus; benoit: ben beno; emmanuel:
    manu; emmanuelle: manu; gabrielle: gaby; giuseppe: peppino geppo peppiniello bepi; francesca: cesca franca
    checca chicca; francesco: ciccio franco checco cecco cesco; lorenzo: renzo lollo enzo; luigi: gigi gigino
    luigino gino; domenico: mimmo memmo menico mimi; salvatore: toto turi turiddu salvo totuccio; angela: angelina
    lina; vincenzo: enzo cenzo vice; antonella: anto nella; alessandro: sandro ale; alessandra: sandra sandrina;
    caterina: cate rina katia; giacomo: giacomino mino; giovanna: gianna vanna; maddalena: lena; michele: lele
    michelino; nicola: nic colino; pasquale: lino pasqualino; raffaele: lello raf; raffaella: lella raffi; rosalia:
    lia rosi; stefano:   stefi; tommaso: tommi maso tom; umberto: berto; valentina: vale titti; lodovico: vico;
    ludovico: vico ludo; leonardo: nardo leo; beatrice: bea; elisabetta: betta lisa elisa; emanuele: lele manu;
    filippo: pippo lippo; gaetano: tano nino; gennaro: gege genna; ignazio: gnazio; immacolata: imma titina;
    margherita: rita marghe ghita; cornelis: kees cor corneel nelis; hendrik: henk rik; hendrika: riek rika henny;
    johan: joop jo; jacobus: koos jaap cobus; jacob: jaap koos; gerardus: gerard geert sjra; gerrit: ger gert;
    adriaan: arie; adrianus: arie janus; antonius: antoon; theodorus: theo dorus; petrus: piet peter pierre; pieter:
    piet; wilhelmus: wim willem; willem: wim pim; wilhelmina: willy mina; willemijn: mijn willie; margaretha: gre
    griet; catharina: trijn tineke; dirk: dick; franciscus: frans; lambertus: bert lambert; lodewijk: lo wiek;
    nicolaas: klaas nico nicol; sebastiaan: bas; bastiaan: bas; bartholomeus: bart mees; christiaan: chris;
    matthijs: thijs matty; mathijs: thijs matty; laurens: lau; leendert: leen; geertruida: truus trui geerte;
    alessio: ale; ewa: ewunia; katarzyna: kasia kaska; malgorzata: gosia; agnieszka: aga agusia; krzysztof: krzys
    krzysiek; tomasz: tomek; piotr: piotrek; wojciech: wojtek; stanislaw: staszek stas; jadwiga: jadzia; aleksander:
    olek sasha; aleksandr: sasha sanya shura; ekaterina: katya katyusha katia; dmitri: dima dimon mitya; dmitry:
    dima mitya; mikhail: misha; nikolai: kolya; vladimir: vova volodya; yevgeny: zhenya; evgeny: zhenya; natalya:
    natasha; anastasia: nastya stasia; tatyana: tanya; sergei: seryozha; ivan: vanya ivo; mehmet: memo memet;
    mustafa: mistik musti; fatma:  ; ibrahim: ibo; muhammad: mo hamada; mohammed: mo hamada; mohamed: mo hamada
    momo; abdullah: abdul abood;   александр: саша сашка сашенька саня санек шура шурик алекс;
    александра: саша сашка сашенька шура; екатерина: катя катюша катька катенька; дмитрии: дима димка димон митя
    митька; мария: маша машка машенька маруся маня; владимир: вова вовка володя вован; алексеи: леша лешка алеша
    леха; анастасия: настя настенька ася; анна: аня анька анечка анюта нюра; андреи: андрюша андрюха; анатолии: толя
    толик; борис: боря борька; валентина: валя валюша; валерии: валера; василии: вася васька; виктор: витя витька
    витек; виталии: виталик; вячеслав: слава славик; галина: галя галочка; геннадии: гена; григории: гриша; даниил:
    даня данила; дарья: даша дашка дашенька; евгении: женя женька жека; евгения: женя женька; елена: лена ленка
    леночка алена; елизавета: лиза лизка лизонька; иван: ваня ванька ванечка; игорь: игорек гарик; ирина: ира ирка
    ирочка; константин: костя костик; ксения: ксюша ксюха; людмила: люда мила люся; любовь: люба любочка; максим:
    макс максимка; марина: маринка мариша; михаил: миша мишка мишаня; надежда: надя наденька; наталья: наташа
    наташка ната; наталия: наташа наташка ната; никита: ник никитка; николаи: коля колян колька; оксана: ксана
    ксюша; ольга: оля олька оленька; павел: паша пашка павлик; петр: петя петька; роман: рома ромка; светлана: света
    светка светик; сергеи: сережа серега серж; софия: соня софа; софья: соня софа; станислав: стас; степан: степа;
    татьяна: таня танька танечка; тимофеи: тима; федор: федя; юлия: юля юлька юленька; юрии: юра юрка; яна: янка;
    ярослав: ярик слава; вера: верочка верка; виктория: вика викуля; полина: поля полинка; георгии: жора гоша; егор:
    гоша егорка; артем: тема темка; денис: дениска; кирилл: кирюша кирюха; илья: илюша илюха илюшка; лариса: лара
    лариска; маргарита: рита марго ритка; тамара: тома; зинаида: зина; антонина: тоня; варвара: варя варенька;
    вероника: ника; лидия: лида лидочка; раиса: рая; леонид: леня ленчик; эдуард: эдик; аркадии: аркаша; антон: антоша
    тоша антоха; святослав: слава; всеволод: сева; лев: лева левушка; семен: сема; яков: яша; жанна: жанночка; зоя:
    зоика; нина: ниночка; инна: инночка; кристина: кристя; олександр: сашко саша; олексіи: льоша леша; дмитро: дима
    діма; володимир: вова володя; сергіи: серьожа серега; тетяна: таня; олена: лена оленка; михаило: миша мишко; іван:
    ваня иванко; юліи: юля; юлія: юля; софія: соня; александр: alexander alex; екатерина: catherine katherine kate;
    михаил: michael mike; павел: paul; николаи: nicholas nick; константин: constantine; елена: helen; георгии: george;
    юлия: julia; наталья: natalie
    """

NICKNAMES: dict[str, str] = {}
for _entry in f"{_NICKNAMES};{_NICKNAMES_ELSEWHERE}".split(";"):
    _name, _, _nicks = (part.strip() for part in _entry.partition(":"))
    NICKNAMES[_name] = f"{NICKNAMES[_name]} {_nicks}" if _name in NICKNAMES else _nicks
"""Nicknames that no rule forms, by first name, in small letters without accents; several are divided by spaces."""
