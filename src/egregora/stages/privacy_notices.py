"""System notices: whom and which group title they name.

A notice is let through only if its form is known, with the names in it replaced; any other becomes `[notice]`, because
whoever it names may be known from nowhere else.
"""

# ruff: noqa: E501 - one rule of each kind of notice a line

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from egregora.stages.privacy_names import clean, is_pronoun

__all__ = ["Notice", "read_notice"]


@dataclass(frozen=True)
class Notice:
    """What a notice names: spans of people's names and of titles in its cleaned text."""

    text: str
    people: tuple[tuple[int, int], ...] = ()
    titles: tuple[tuple[int, int], ...] = ()


_Q = r"[“”\"«»„'‘’「『]"
_T = rf"{_Q}\s?(?P<t1>.+?)\s?[“”\"«»'‘’」』]"
_T2 = rf"{_Q}\s?(?P<t2>.+?)\s?[“”\"«»'‘’」』]"

# Nobody is named in these.
_PLAIN = re.compile(
    r"""(?ix)^(?:
      messages\ (?:and\ calls\ (?:are|in)|to\ this\ (?:chat|group)|you\ send|in\ this).* | .*end-to-end\ encrypt.*
      | as\ mensagens\ e\ (?:as\ )?(?:chamadas|liga[cç][oõ]es).* | .*criptografia\ de\ ponta\ a\ ponta.* | .*cifrad[oa]s?\ de\ extremo\ a\ extremo.*
      | .*ende-zu-ende-verschl[uü]sselt.* | .*chiffr[eé]s?\ de\ bout\ en\ bout.* | .*crittografia\ end-to-end.* | .*end-to-end\ versleuteld.*
      | (?:missed|silenced)\ (?:group\ )?(?:voice|video)\ call.* | chamada\ de\ (?:voz|v[ií]deo)(?:\ em\ grupo)?\ perdida.*
      | this\ (?:group|chat|message|business|community).* | disappearing\ messages.* | waiting\ for\ this\ message.* | you\ blocked\ this\ contact.* | you\ unblocked\ this\ contact.*
      | the\ group\ (?:was|is|description|settings).* | only\ admins.* | o\ grupo\ foi.* | esta?\ (?:mensagem|grupo|conversa).* | group\ creat(?:ed|or).*
      | you\ (?:joined|left|were\ added|were\ removed|are\ now|deleted|changed|turned|updated|pinned|created\ this\ group)(?!\ .*["“”:]).*
      | voc[eê]\ (?:entrou|saiu|foi|agora|apagou|mudou|alterou|criou\ este)(?!\ .*["“”:]).* | null
    )$"""
)
# A capital within a sentence may be somebody's name; so may a number or a mention.
_NAMELIKE = re.compile(
    r"(?<![.!?] )(?<!^)(?<![.!?:]  )\b(?!(?:WhatsApp|Tap|Toque|Toca|Tippe|Tippen|Appuyez|Tocca|Tik|Learn|Saiba|Only|Meta|Admins?|ID|QR|URL|I|Sie|Du|Dich"
    r"|Betreff|Gruppe\w*|Namen?|Bild|Beschreibung|Nummer|Telefonnummer|Einladungslink|Link|Nachrichten|Administrator)\b)"
    r"[^\W\d_a-zß-öø-ÿ]\w+|[+@]|\d{5}"
)


@cache
def _compiled(rule: str) -> re.Pattern[str]:
    """A rule when it is first needed: compiling all of them takes longer than a small chat."""
    return re.compile(rf"^(?:{rule})[.!]?$", re.IGNORECASE | re.DOTALL)


_RULES = (
    # English
    r"(?P<a>.+?) (?:added|removed|invited) (?P<b>.+?)(?: (?:to|from) (?:the|this) (?:group|community))?",
    rf"(?P<a>.+?) changed the (?:subject|group name|group subject|name of this group|group's name) from {_T} to {_T2}",
    rf"(?P<a>.+?) changed the (?:subject|group name|group subject|name of this group|group's name) to {_T}",
    r"(?P<a>.+?) changed the (?:subject|group name) to (?P<t1>.+)",
    rf"(?P<a>.+?) created (?:the |this )?(?:group|community|announcement group) {_T}",
    r"(?P<a>.+?) created (?:the |this )?(?:group|community)(?: (?P<t1>[^\s].*))?",
    r"(?P<a>.+?) changed (?:their phone number )?from (?P<b>\+?[\d\s().\-\u2011]+) to (?P<c>\+?[\d\s().\-\u2011]+)",
    r"(?P<a>.+?) changed (?:their|his|her) phone number.*",
    r"(?P<a>.+?) changed to (?P<b>\+?[\d\s().\-\u2011]+)",
    r"(?P<a>.+?) (?:changed|deleted|updated|reset|removed) (?:this|the) (?:group|community)(?:['’]s)? (?:icon|description|photo|picture|settings|invite link|info)\b[^:]*",
    r"(?P<a>.+?) (?:changed|updated) (?:the )?(?:message timer|group settings|settings|group['’]s settings|this group['’]s settings)\b[^:]*",
    r"(?P<a>.+?) (?:turned (?:on|off)|set) (?:disappearing messages|admin approval|the disappearing)\b[^:]*",
    r"(?P<a>.+?) (?:left|joined|was added|was removed|were added|were removed)(?: (?:the|this) (?:group|community|call))?",
    r"(?P<a>.+?) (?:joined|was added) (?:using|from|via|by) (?:(?:this|the|a|an) (?:group['’]?s?|invite|community|group link)\b[^:]*|your invite.*)",
    r"(?P<a>.+?) (?:was added|were added|was removed|were removed) by (?P<b>.+?)",
    r"(?P<a>.+?) (?:requested|asked) to join\b[^:]*",
    r"(?P<a>.+?) (?:is|are|was|['’]re) (?:now |no longer )?(?:made |dismissed as )?(?:an? |the )?(?:group |community )?(?:admin|owner|contact|member)s?",
    r"(?P<a>.+?) (?:pinned|unpinned|deleted|kept|reported) a message\b[^:]*",
    r"(?P<a>.+?) (?:started|ended|joined|missed|is in) (?:a |the )?(?:group )?(?:video |voice |audio )?(?:call|chat|live location|event)\b[^:]*",
    r"your security code with (?P<a>.+?) (?:has )?changed\b.*",
    r"(?P<a>.+?)['’]s security code (?:has )?changed\b.*",
    r"(?P<a>.+?)(?:['’]s)? business account .*",
    r"you(?:['’]re| are) (?:now|no longer) (?:an? )?(?:group )?admin",
    r"you (?:blocked|unblocked) (?P<a>.+?)",
    # Portuguese
    r"(?P<a>.+?) (?:adicionou|removeu|convidou) (?P<b>.+?)(?: (?:ao|do|para o) grupo)?",
    rf"(?P<a>.+?) (?:mudou|alterou) o (?:nome|assunto)(?: do grupo)? de {_T} para {_T2}",
    rf"(?P<a>.+?) (?:mudou|alterou) o (?:nome|assunto)(?: do grupo)? para {_T}",
    rf"(?P<a>.+?) criou (?:o |este )?(?:grupo|comunidade)(?: {_T})?",
    r"(?P<a>.+?) (?:saiu|entrou|foi adicionad[oa]|foi removid[oa])(?: (?:d|n)o grupo| da conversa)?",
    r"(?P<a>.+?) (?:foi adicionad[oa]|foi removid[oa]) por (?P<b>.+?)",
    r"(?P<a>.+?) entrou (?:usando|por meio|pelo|atrav[eé]s|via|com) (?:o |do |de |um |seu )?(?:link|convite)\b[^:]*",
    r"(?P<a>.+?) (?:mudou|alterou|apagou|removeu|redefiniu|atualizou) (?:a |o |as |os )(?:imagem|foto|[ií]cone|descri[cç][aã]o|configura[cç][oõ]es|link|dura[cç][aã]o|temporizador)\b[^:]*",
    r"(?P<a>.+?) (?:mudou|alterou) (?:o |seu )?(?:n[uú]mero).*",
    r"(?P<a>.+?) mudou para (?P<b>\+?[\d\s().\-\u2011]+)",
    r"(?P<a>.+?) (?:agora é|é agora|virou|deixou de ser|não é mais) (?:um |uma )?(?:admin\w*|contato)\b[^:]*",
    r"(?P<a>.+?) (?:fixou|apagou|desafixou) uma mensagem\b[^:]*",
    r"(?P<a>.+?) (?:ativou|desativou) (?:as )?mensagens tempor[aá]rias\b[^:]*",
    r"(?P<a>.+?) (?:iniciou|encerrou|começou) uma (?:chamada|liga[cç][aã]o)\b[^:]*",
    r"(?:seu |o )?c[oó]digo de segurança (?:com|de) (?P<a>.+?) mudou\b.*",
    # Spanish
    r"(?P<a>.+?) (?:a[nñ]adi[oó]|agreg[oó]|elimin[oó]|sac[oó]|invit[oó]) a (?P<b>.+?)",
    rf"(?P<a>.+?) cambi[oó] (?:el )?(?:nombre|asunto)(?: del grupo)? de {_T} a {_T2}",
    rf"(?P<a>.+?) cambi[oó] (?:el )?(?:nombre|asunto)(?: del grupo)? a {_T}",
    rf"(?P<a>.+?) cre[oó] (?:el )?grupo(?: {_T})?",
    r"(?P<a>.+?) (?:sali[oó]|se uni[oó]|entr[oó])(?: (?:del|al) grupo)?(?: (?:usando|con|mediante|a trav[eé]s)\b[^:]*)?",
    r"(?P<a>.+?) (?:cambi[oó]|elimin[oó]|borr[oó]) (?:la |el |los )(?:imagen|foto|[ií]cono|descripci[oó]n|ajustes|enlace)\b[^:]*",
    r"(?P<a>.+?) cambi[oó] (?:su|de) n[uú]mero.*",
    r"(?P<a>.+?) ahora es admin\w*\b[^:]*",
    r"(?:tu |el )?c[oó]digo de seguridad con (?P<a>.+?) cambi[oó]\b.*",
    # German
    r"(?P<a>.+?) (?:hat|haben|hast) (?P<b>.+?) (?:hinzugef[uü]gt|entfernt|eingeladen)",
    rf"(?P<a>.+?) (?:hat|haben|hast) (?:den )?(?:Betreff|Gruppennamen?|Namen der Gruppe) von {_T} zu {_T2} ge[aä]ndert",
    rf"(?P<a>.+?) (?:hat|haben|hast) (?:den )?(?:Betreff|Gruppennamen?|Namen der Gruppe) (?:zu|in|auf) {_T} ge[aä]ndert",
    rf"(?P<a>.+?) (?:hat|haben|hast) die Gruppe(?: {_T})? erstellt",
    r"(?P<a>.+?) (?:hat|haben|hast) die Gruppe verlassen",
    r"(?P<a>.+?) (?:ist|bist) .*(?:beigetreten|Admin|Administrator)",
    r"(?P<a>.+?) (?:hat|haben|hast) (?:das|die|den) (?:Gruppenbild|Gruppenbeschreibung|Bild|Beschreibung|Gruppeneinstellungen)\b[^:]*",
    r"(?P<a>.+?) hat (?:die |seine |ihre )?(?:Telefonnummer|Nummer)\b.*",
    r"(?P<a>.+?) wurde (?:hinzugef[uü]gt|entfernt)",
    r"(?:Deine|Die) Sicherheitsnummer (?:f[uü]r|mit|von) (?P<a>.+?) hat sich ge[aä]ndert\b.*",
    # French
    r"(?P<a>.+?) (?:a|avez) (?:ajout[eé]|retir[eé]|supprim[eé]|invit[eé]) (?P<b>.+?)",
    rf"(?P<a>.+?) (?:a|avez) (?:chang[eé]|modifi[eé]) (?:le )?(?:sujet|nom)(?: du groupe)? de {_T} (?:à|en|par) {_T2}",
    rf"(?P<a>.+?) (?:a|avez) (?:chang[eé]|modifi[eé]) (?:le )?(?:sujet|nom)(?: du groupe)? (?:à|en|par|pour) {_T}",
    rf"(?P<a>.+?) (?:a|avez) cr[eé][eé] (?:le |ce )?groupe(?: {_T})?",
    r"(?P<a>.+?) (?:a|avez) (?:quitt[eé]|rejoint)(?: le groupe)?\b[^:]*",
    r"(?P<a>.+?) est parti\w*",
    r"(?P<a>.+?) (?:a|avez) (?:chang[eé]|modifi[eé]|supprim[eé]) (?:l['’]|la |les |son |de )(?:ic[oô]ne|image|description|param[eè]tres|num[eé]ro)\b[^:]*",
    # Italian
    r"(?P<a>.+?) (?:ha|hai) (?:aggiunto|rimosso|invitato) (?P<b>.+?)",
    rf"(?P<a>.+?) (?:ha|hai) cambiato (?:l['’]oggetto|il nome del gruppo|il nome) da {_T} a {_T2}",
    rf"(?P<a>.+?) (?:ha|hai) cambiato (?:l['’]oggetto|il nome del gruppo|il nome) in {_T}",
    rf"(?P<a>.+?) (?:ha|hai) creato il gruppo(?: {_T})?",
    r"(?P<a>.+?) (?:ha|hai) (?:abbandonato|lasciato)(?: il gruppo)?",
    r"(?P<a>.+?) (?:è|e) (?:entrat|uscit)[oa]\b[^:]*",
    r"(?P<a>.+?) (?:ha|hai) (?:cambiato|modificato) (?:l['’]|la |le )(?:immagine|icona|descrizione|impostazioni)\b[^:]*",
    # Dutch
    r"(?P<a>.+?) (?:heeft|hebt) (?P<b>.+?) (?:toegevoegd|verwijderd|uitgenodigd)",
    rf"(?P<a>.+?) (?:heeft|hebt) (?:het )?(?:onderwerp|groepsnaam|de groepsnaam) (?:van {_T} )?(?:gewijzigd )?(?:in|naar) {_T2}(?: gewijzigd)?",
    rf"(?P<a>.+?) (?:heeft|hebt) (?:de )?groep(?: {_T})? (?:aan)?gemaakt",
    r"(?P<a>.+?) (?:heeft|hebt) de groep verlaten",
    r"(?P<a>.+?) is (?:toegevoegd|verwijderd|toegetreden)\b[^:]*",
    # Turkish, Russian
    r"(?P<a>.+?), (?P<b>.+?) (?:kişisini|kullanıcısını) (?:ekledi|çıkardı)",
    r"(?P<a>.+?) (?:gruptan )?(?:ayrıldı|katıldı)",
    r"(?P<a>.+?) (?:добавил|добавила|добавил\(-а\)|удалил|удалила|удалил\(-а\)) (?P<b>.+?)",
    r"(?P<a>.+?) (?:вышел|вышла|вышел\(-шла\)|покинул\S*|присоединил\S*)(?: из группы| группу)?\b[^:]*",
    rf"(?P<a>.+?) (?:создал|создала|создал\(-а\)) группу(?: {_T})?",
)
_AND = re.compile(r"\s*,\s*(?:(?:and|e|y|und|et|ed?|en|ve|и) )?|\s+(?:and|&|e|y|und|et|en|ve|и)\s+")
_OTHERS = re.compile(r"(?i)^(?:\d+ (?:others?|outr[oa]s|otr[oa]s|weitere|autres|altri|anderen)|others?)$")


def _people(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The spans of single names in a list of names ("Ana, Rui and Eva")."""
    spans, at = [], start
    for divider in [*_AND.finditer(text, start, end), None]:
        stop = divider.start() if divider else end
        piece = text[at:stop]
        name = piece.strip(" ~\u202f\u00a0@")
        if name and not is_pronoun(name) and not _OTHERS.match(name):
            begin = at + piece.index(name)
            spans.append((begin, begin + len(name)))
        at = divider.end() if divider else end
    return spans


def read_notice(text: str) -> Notice | None:
    """What a notice names; None if its form is not known."""
    text = clean(text).strip()
    if not text:
        return Notice("")
    if "\n" not in text and _PLAIN.match(text) and not _NAMELIKE.search(text):
        return Notice(text)
    for rule in _RULES:
        match = _compiled(rule).match(text)
        if match:
            groups = match.groupdict()
            people: list[tuple[int, int]] = []
            for key in ("a", "b", "c"):
                if groups.get(key):
                    people += _people(text, *match.span(key))
            titles = [match.span(key) for key in ("t1", "t2") if groups.get(key)]
            rest = text
            for start, end in [*people, *titles]:
                rest = f"{rest[:start]}{'x' * (end - start)}{rest[end:]}"
            if all(end - start <= 80 for start, end in people) and not _NAMELIKE.search(rest):
                return Notice(text, tuple(people), tuple(titles))
    return None
