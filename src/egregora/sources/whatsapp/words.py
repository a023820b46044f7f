"""The words that WhatsApp puts into exports, by language: markers of media, edits, deletions, polls, calls, notices.

Where a rule can do without words (a file name in brackets that the archive holds) `bodies.py` uses the rule; these
lists are for what can't be told otherwise. All are compared without case and marks and with plain spaces.
"""

from __future__ import annotations

__all__ = [
    "CALL", "CONTACT_CARD", "CREATED_GROUP", "DELETED", "EDITED", "EDITED_STEMS", "EVENT", "LIVE_LOCATION",
    "MEDIA_STEMS", "MEDIA_WORDS", "NOTICE_STEMS", "OMITTED", "OMITTED_AFTER", "OMITTED_STEMS", "OPTION", "POLL",
    "TITLE_PATTERNS", "VERBS", "VIEW_ONCE",
]  # fmt: skip

OMITTED = (
    "media omitted", "mídia oculta", "mídia omitida", "ficheiro não revelado", "multimedia omitido",
    "archivo omitido", "medien ausgeschlossen", "medien weggelassen", "médias omis", "fichier omis",
    "media omessi", "media omesso", "media weggelaten", "без медиафайлов", "медиафайл пропущен",
    "medya dahil edilmedi", "medya atlandı", "medya atlanmış", "pominięto multimedia", "multimedia pominięto",
    "média vynechána", "médiá vynechané", "hiányzó médiafájl", "fișiere media omise", "conținut media omis",
    "media jätettiin pois", "media har utelämnats", "media utelämnat", "media utelatt", "uten vedlegg",
    "mediefil udeladt", "medie udeladt", "παραλείφθηκαν πολυμέσα", "המדיה לא נכללה", "השמטת מדיה",
    "تم استبعاد الوسائط", "پیوست نما", "मीडिया के बिना", "media tidak disertakan", "media disembunyikan",
    "bỏ qua tệp phương tiện", "ไม่รวมสื่อ", "省略多媒体文件", "省略多媒體檔案", "媒体文件已省略", "メディアなし",
    "メディアは含まれていません", "미디어 파일을 생략한 내용", "медіа пропущено", "медіафайли не додано",
    "мултимедията е без", "medijski zapis izostavljen", "multimèdia omès", "mitjans omesos", "media weggelaat",
    "nuk përfshihen mediat", "izostavljen medij", "meedia ära jäetud", "medija izlaista", "praleista medija",
    "izpuščen medij", "медији изостављени",
)  # fmt: skip
"""Inside of Android's `<…>` for any kind of media left out."""

MEDIA_STEMS = (
    "medi", "médi", "mídi", "medya", "multim", "меди", "муль", "медіа", "媒", "メディア", "미디어", "मीडिया",
    "وسائط", "מדיה", "πολυμ", "สื่อ",
)  # fmt: skip
"""A `<…>` body with one of these and one of `OMITTED_STEMS` counts too."""

OMITTED_STEMS = (
    "omi", "ocult", "ausgeschl", "weggel", "utel", "udel", "pomin", "vynech", "пропущ", "без", "省略", "略",
    "생략", "tidak", "dahil",
)  # fmt: skip

MEDIA_WORDS = {
    "image": (
        "image", "photo", "picture", "bild", "foto", "imagem", "imagen", "immagine", "afbeelding",
        "изображение", "фото", "图片", "圖片", "画像", "이미지", "사진", "resim", "görüntü", "gambar", "obraz",
        "zdjęcie", "kuva", "billede", "bilde", "תמונה", "صورة", "εικόνα",
    ),
    "video": (
        "video", "vídeo", "vidéo", "видео", "відео", "视频", "影片", "動画", "비디오", "동영상", "film",
        "wideo", "סרטון", "فيديو", "βίντεο", "video note", "video message", "nota de vídeo", "videonachricht",
    ),
    "gif": (
        "gif", "גיף",
    ),
    "sticker": (
        "sticker", "figurinha", "autocollant", "стикер", "стікер", "贴图", "貼圖", "ステッカー", "スタンプ",
        "스티커", "çıkartma", "stiker", "naklejka", "tarra", "adesivo", "pegatina", "מדבקה", "ملصق",
    ),
    "audio": (
        "audio", "áudio", "voice message", "аудио", "аудіо", "音频", "音訊", "音声", "오디오", "ses", "ääni",
        "lyd", "ljud", "dźwięk", "sprachnachricht", "אודיו", "مقطع صوتي",
    ),
    "document": (
        "document", "dokument", "documento", "документ", "文件", "文檔", "文档", "ドキュメント", "문서",
        "belge", "dokumen", "asiakirja", "מסמך", "مستند",
    ),
}  # fmt: skip
"""What iOS calls kinds of media, each before one of `OMITTED_AFTER`."""

CONTACT_CARD = (
    "contact card", "kontaktkarte", "cartão do contato", "cartão de contacto", "tarjeta de contacto",
    "carte de contact", "fiche contact", "scheda contatto", "contactkaart", "карточка контакта", "контакт",
    "联系人名片", "聯絡人名片", "連絡先", "연락처", "kişi kartı", "kartu kontak", "karta kontaktu",
)  # fmt: skip

OMITTED_AFTER = (
    "omitted", "weggelassen", "ausgeschlossen", "ocultado", "ocultada", "oculto", "oculta", "omitido",
    "omitida", "omitidos", "omesso", "omessa", "weggelaten", "absent", "absente", "omis", "omise", "пропущен",
    "пропущено", "пропущена", "опущен", "не включено", "отсутствует", "已略去", "已省略", "已忽略",
    "を除外しました", "は除外されました", "省略",
    "なし", "생략됨", "제외됨", "dahil edilmedi", "atlandı", "tidak disertakan", "pominięto", "pominięte",
    "jätetty pois", "udeladt", "utelatt", "utelämnad", "utelämnat", "לא נכלל", "הושמט", "הושמטה", "محذوفة",
    "تم استبعاد", "παραλείφθηκε",
)  # fmt: skip

VIEW_ONCE = (
    "view once photo omitted", "view once video omitted", "view once voice message omitted",
    "view once message omitted",
    "you received a view once photo. for added privacy, you can only open it on your phone.",
    "you received a view once video. for added privacy, you can only open it on your phone.",
    "you received a view once message. for added privacy, you can only open it on your phone.",
)  # fmt: skip

EDITED = (
    "this message was edited", "se editó este mensaje.", "este mensaje fue editado", "mensaje editado",
    "diese nachricht wurde bearbeitet.", "diese nachricht wurde bearbeitet", "mensagem editada",
    "esta mensagem foi editada", "ce message a été modifié", "message modifié", "messaggio modificato",
    "questo messaggio è stato modificato", "dit bericht is bewerkt", "bericht bewerkt", "сообщение изменено",
    "данное сообщение изменено", "повідомлення змінено", "bu mesaj düzenlendi", "mesaj düzenlendi",
    "wiadomość edytowana", "wiadomość zmieniona", "pesan ini diedit", "pesan diedit", "此消息已编辑",
    "已编辑此消息", "此訊息已編輯", "已編輯訊息", "このメッセージは編集されました",
    "이 메시지는 수정되었습니다", "ההודעה נערכה", "تم تعديل هذه الرسالة", "meddelandet har redigerats",
    "tätä viestiä muokattiin", "denne besked blev redigeret", "denne meldingen ble redigert",
    "tato zpráva byla upravena",
)  # fmt: skip

EDITED_STEMS = (
    "edit", "bearbeitet", "bewerkt", "modifi", "изменен", "змінено", "düzenlen", "edytow", "编辑", "編輯",
    "編集", "수정", "redig", "muokat", "upraven",
)  # fmt: skip
"""A `<…>` at the end that a mark stands before, with one of these, counts too."""

DELETED = (
    "this message was deleted", "you deleted this message", "this message was deleted by an admin",
    "you deleted this message as admin", "diese Nachricht wurde gelöscht", "du hast diese Nachricht gelöscht",
    "Nachricht gelöscht", "se eliminó este mensaje", "eliminaste este mensaje", "este mensaje fue eliminado",
    "este mensaje se eliminó", "mensagem apagada", "você apagou esta mensagem", "esta mensagem foi apagada",
    "essa mensagem foi apagada", "esta mensagem foi eliminada", "eliminou esta mensagem",
    "eliminaste esta mensagem", "ce message a été supprimé", "vous avez supprimé ce message",
    "questo messaggio è stato eliminato", "hai eliminato questo messaggio", "dit bericht is verwijderd",
    "u heeft dit bericht verwijderd", "je hebt dit bericht verwijderd", "данное сообщение удалено",
    "сообщение удалено", "вы удалили данное сообщение", "ви видалили це повідомлення",
    "це повідомлення видалено", "bu mesaj silindi", "bu mesajı sildiniz", "wiadomość została usunięta",
    "ta wiadomość została usunięta", "usunąłeś tę wiadomość", "pesan ini telah dihapus", "pesan ini dihapus",
    "anda menghapus pesan ini", "此消息已删除", "您删除了此消息", "此訊息已刪除", "您已刪除此訊息",
    "你已刪除此訊息", "このメッセージは削除されました", "このメッセージを削除しました", "삭제된 메시지입니다",
    "메시지를 삭제했습니다", "הודעה זו נמחקה", "מחקת הודעה זו", "تم حذف هذه الرسالة", "لقد حذفت هذه الرسالة",
    "viesti poistettiin", "tämä viesti poistettiin", "detta meddelande har raderats",
    "denne besked blev slettet", "denne meldingen ble slettet",
)  # fmt: skip
"""Whole bodies, a full stop at the end or not."""

LIVE_LOCATION = (
    "live location shared", "Live-Standort wird geteilt", "Live-Standort geteilt",
    "ubicación en tiempo real compartida", "localização em tempo real compartilhada",
    "localização em tempo real partilhada", "position en direct partagée", "localisation en direct partagée",
    "posizione in tempo reale condivisa", "live locatie gedeeld", "livelocatie gedeeld", "трансляция геоданных",
    "canlı konum paylaşıldı",
)  # fmt: skip

CALL = (
    "missed voice call", "missed video call", "missed group voice call", "missed group video call",
    "voice call", "video call", "silenced voice call", "silenced video call", "group call",
    "verpasster Sprachanruf", "verpasster Videoanruf", "sprachanruf", "videoanruf", "llamada perdida",
    "videollamada perdida", "llamada de voz perdida", "llamada de voz", "videollamada",
    "chamada de voz perdida", "chamada de vídeo perdida", "ligação de voz perdida", "ligação de vídeo perdida",
    "ligação perdida", "chamada de voz", "chamada de vídeo", "ligação de voz", "ligação de vídeo",
    "appel vocal manqué", "appel vidéo manqué", "appel vocal", "appel vidéo", "chiamata vocale persa",
    "videochiamata persa", "chiamata vocale", "videochiamata", "gemiste spraakoproep", "gemiste video-oproep",
    "spraakoproep", "video-oproep", "пропущенный аудиозвонок", "пропущенный видеозвонок", "аудиозвонок",
    "видеозвонок", "未接语音通话", "未接视频通话", "未接語音通話", "未接視訊通話", "cevapsız sesli arama",
    "cevapsız görüntülü arama",
)  # fmt: skip
"""Beginnings of short bodies that tell of a call; a time, a length or an outcome may follow."""

POLL = (
    "poll", "enquete", "sondagem", "votação", "encuesta", "umfrage", "sondage", "sondaggio", "peiling", "опрос",
    "опитування", "ankieta", "anket", "投票", "アンケート", "투표", "jajak pendapat", "kysely", "omröstning",
    "afstemning",
)  # fmt: skip

OPTION = (
    "option", "opção", "opción", "opzione", "optie", "вариант", "варіант", "opcja", "seçenek", "选项", "選項",
    "選択肢", "옵션", "opsi", "vaihtoehto", "alternativ", "mulighed",
)  # fmt: skip

EVENT = (
    "event", "evento", "veranstaltung", "événement", "evenement", "мероприятие", "etkinlik", "wydarzenie",
    "活动", "活動", "イベント",
)  # fmt: skip

NOTICE_STEMS = (
    "end-to-end encrypted", "ende-zu-ende", "cifrados de extremo", "cifrado de extremo",
    "criptografia de ponta", "encriptadas ponto", "chiffré", "crittografati end", "crittografia end",
    "end-to-end versleuteld", "сквозным шифрованием", "端到端加密", "端對端加密", "エンドツーエンド", "종단간",
    "uçtan uca", "created group", "created this group", "created the group", "group created", "added", "left",
    "removed", "was removed", "joined using", "joined from", "joined via", "changed the subject",
    "changed the group", "changed this group", "changed their phone number", "changed to a new number",
    "changed the settings", "security code", "now an admin", "no longer an admin", "turned on disappearing",
    "turned off disappearing", "disappearing messages", "message timer", "pinned a message",
    "requested to join", "invited", "deleted this group", "changed the description", "is a contact",
    "blocked this contact", "unblocked this contact", "group icon", "community", "business account",
    "started a call", "reset this group's invite link", "new members", "approve", "gruppe erstellt",
    "hat die gruppe", "hinzugefügt", "hat verlassen", "entfernt", "gruppenbild", "gruppennamen", "betreff",
    "sicherheitsnummer", "ist jetzt admin", "du bist jetzt", "angeheftet", "beigetreten",
    "verschwindende nachrichten", "selbstlöschende", "creó el grupo", "creó este grupo", "añadió", "agregó",
    "salió del grupo", "salió", "eliminó a", "cambió", "código de seguridad", "ahora es admin",
    "admin. del grupo", "se unió", "fijó un mensaje", "mensajes temporales", "criou o grupo",
    "criou este grupo", "adicionou", "saiu", "removeu", "mudou o", "mudou a", "alterou", "código de segurança",
    "agora é admin", "agora você é admin", "entrou usando", "fixou uma mensagem", "mensagens temporárias",
    "a créé le groupe", "a créé ce groupe", "a ajouté", "a quitté", "est parti", "a retiré", "a changé",
    "a modifié", "code de sécurité", "êtes maintenant admin", "a rejoint", "a épinglé", "messages éphémères",
    "ha creato il gruppo", "ha aggiunto", "ha abbandonato", "è uscito", "ha rimosso", "ha cambiato",
    "codice di sicurezza", "ora sei amministratore", "ha fissato", "messaggi effimeri", "heeft de groep",
    "groep gemaakt", "toegevoegd", "heeft de groep verlaten", "verwijderd", "gewijzigd", "beveiligingscode",
    "je bent nu beheerder", "создал", "добавил", "вышел", "вышла", "покинул", "удалил", "изменил",
    "код безопасности", "теперь администратор", "创建了", "建立了", "添加了", "新增了", "退出了", "移除了",
    "更改了", "變更了", "安全码", "安全碼", "作成しました", "追加しました", "退出しました", "초대",
    "나갔습니다", "oluşturdu", "ekledi", "ayrıldı", "çıkardı", "değiştirdi",
)  # fmt: skip
"""What only notices say. Looked for where something else already makes a notice likely, never in ordinary text."""

TITLE_PATTERNS = (
    "WhatsApp Chat with *", "WhatsApp Chat - *", "WhatsApp-Chat mit *", "WhatsApp Chat mit *",
    "Chat de WhatsApp con *", "Chat de WhatsApp - *", "Conversa do WhatsApp com *",
    "Conversa no WhatsApp com *", "Conversa do WhatsApp - *", "Discussion WhatsApp avec *",
    "Chat WhatsApp con *", "Chat WhatsApp - *", "Чат WhatsApp с *", "Чат WhatsApp з *", "Чат у WhatsApp з *",
    "与*的 WhatsApp 聊天", "與*的 WhatsApp 對話", "与*的WhatsApp聊天", "與*的WhatsApp對話",
    "WhatsApp-chat met *", "WhatsApp Chat met *", "WhatsApp chat met *", "WhatsApp Chat dengan *",
    "Chat WhatsApp dengan *", "Chat WhatsApp cu *", "WhatsApp-chatt med *", "WhatsApp-chat med *",
    "Czat WhatsApp z *", "* ile WhatsApp Sohbeti", "WhatsApp Sohbeti - *", "*とのWhatsAppトーク", "*とのトーク",
    "*님과의 WhatsApp 대화", "WhatsApp-keskustelu: *", "Xat de WhatsApp amb *", "صدر من WhatsApp مع *",
    "محادثة واتساب مع *", "צ'אט WhatsApp עם *", "Conversación de WhatsApp con *", "Conversa de WhatsApp com *",
    "Conversa do WhatsApp com o *", "WhatsApp聊天 - *", "WhatsApp 對話 - *",
)  # fmt: skip
"""Names of zips and texts; `*` is the chat's title."""

CREATED_GROUP = (
    "created group", "created the group", "hat die gruppe", "creó el grupo", "criou o grupo",
    "a créé le groupe", "ha creato il gruppo", "heeft de groep", "создал группу", "создала группу",
    "создал(а) группу", "创建了群组", "建立了群組",
)  # fmt: skip

VERBS = (
    "changed the", "changed this", "changed their", "created group", "created the group", "added ", "removed ",
    "pinned a", "updated the", "hat den", "hat die", "hat das", "cambió el", "cambió la", "mudou o", "mudou a",
    "alterou o", "alterou a", "a changé", "a modifié", "ha cambiato", "heeft de", "heeft het", "изменил",
    "сменил", "criou o", "creó el", "adicionou ", "añadió a",
)  # fmt: skip
"""What stands after a name in notices that may hold a colon further on."""
