"""Exports of watch histories as Google Takeout writes them, synthesised in many languages."""

# ruff: noqa: E501

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

NEWEST = datetime(2026, 11, 25, 14, 1, 31, tzinfo=timezone.utc)
ARABIC, PERSIAN = (str.maketrans("0123456789", digits) for digits in ("٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹"))


@dataclass(frozen=True)
class Language:
    """How an account's language words an export; `{}` stands for the title."""

    history: str
    """Folder and name of the file, without its suffix."""
    watched: str
    removed: str
    ads: str
    headings: tuple[str, str, str]
    """Products, details, why."""
    date: Callable[[datetime], str]
    zone_hours: float = 0
    """Of the clock that `date` is given."""


def named(
    months: str, pattern: str, offset: int = 0, ampm: tuple[str, str] = ("AM", "PM")
) -> Callable[[datetime], str]:
    """Dates with the names of months; `{h}` is an hour of twelve."""

    def date(moment: datetime) -> str:
        return pattern.format(
            y=moment.year + offset,
            m=months.split("|")[moment.month - 1],
            n=moment.month,
            d=moment.day,
            t=moment.strftime("%H:%M:%S"),
            h=f"{moment.hour % 12 or 12}:{moment:%M:%S}",
            p=ampm[moment.hour >= 12],
        )

    return date


EN = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
FA = [
    "دی",
    "بهمن",
    "اسفند",
    "فروردین",
    "اردیبهشت",
    "خرداد",
    "تیر",
    "مرداد",
    "شهریور",
    "مهر",
    "آبان",
    "آذر",
]


def persian(moment: datetime) -> str:
    """Day and month of the solar calendar; right for the November days that the exports use."""
    assert (
        datetime(2026, 11, 22, tzinfo=timezone.utc)
        <= moment
        < datetime(2026, 12, 22, tzinfo=timezone.utc)
    )
    return f"{moment.day - 21} آذر 1405،\u200f {moment:%H:%M:%S} (\u200e+3:30 گرینویچ)".translate(
        PERSIAN
    )


LANGUAGES = {
    "en-US": Language(
        "YouTube and YouTube Music/history/watch-history",
        "Watched {}", "Watched a video that has been removed", "From Google Ads",
        ("Products:", "Details:", "Why is this here?"),
        named(EN, "{m} {d}, {y}, {h}\u202f{p} UTC"),
    ),
    "en-GB": Language(
        "YouTube and YouTube Music/history/watch-history",
        "Watched {}", "Watched a video that has been removed", "From Google Ads",
        ("Products:", "Details:", "Why is this here?"),
        named(EN.replace("Sep", "Sept"), "{d} {m} {y}, {t} GMT"),
    ),
    "de": Language(
        "YouTube und YouTube Music/Verlauf/Wiedergabeverlauf",
        "„{}“ angesehen", "Du hast dir ein Video angesehen, das entfernt wurde", "Von Google Anzeigen",
        ("Produkte:", "Details:", "Warum steht das hier?"),
        named(EN, "{d:02}.{n:02}.{y}, {t} MEZ"), 1,
    ),
    "fr": Language(
        "YouTube et YouTube Music/historique/watch-history",
        "Vous avez regardé {}", "Vous avez regardé une vidéo qui a été supprimée", "Depuis Google Ads",
        ("Produits\xa0:", "Détails\xa0:", "Pourquoi ces informations\xa0?"),
        named("janv.|févr.|mars|avr.|mai|juin|juil.|août|sept.|oct.|nov.|déc.", "{d} {m} {y}, {t} CET"), 1,
    ),
    "es": Language(
        "YouTube y YouTube Music/historial/historial de reproducciones",
        "Has visto {}", "Has visto un vídeo que se ha eliminado", "De Google Ads",
        ("Productos:", "Detalles:", "¿Por qué aparece esto aquí?"),
        named("ene|feb|mar|abr|may|jun|jul|ago|sept|oct|nov|dic", "{d} {m} {y}, {t} CET"), 1,
    ),
    "es-MX": Language(
        "YouTube y YouTube Music/historial/historial de reproducciones",
        "Viste {}", "Viste un video que ya no está disponible", "De Google Ads",
        ("Productos:", "Detalles:", "¿Por qué aparece aquí?"),
        named("ene|feb|mar|abr|may|jun|jul|ago|sep|oct|nov|dic", "{d} {m} {y}, {h} {p} GMT-06:00",
              ampm=("a.m.", "p.m.")), -6,
    ),
    "pt-BR": Language(
        "YouTube e YouTube Music/histórico/histórico-de-visualização",
        "Assistiu a {}", "Assistiu a um vídeo que foi removido", "Do Google Ads",
        ("Produtos:", "Detalhes:", "Por que isso está aqui?"),
        named("jan.|fev.|mar.|abr.|mai.|jun.|jul.|ago.|set.|out.|nov.|dez.", "{d} de {m} de {y}, {t} BRT"), -3,
    ),
    "it": Language(
        "YouTube e YouTube Music/cronologia/cronologia visualizzazioni",
        "Hai guardato {}", "Hai guardato un video che è stato rimosso", "Da Google Ads",
        ("Prodotti:", "Dettagli:", "Perché vedo questa attività?"),
        named("gen|feb|mar|apr|mag|giu|lug|ago|set|ott|nov|dic", "{d} {m} {y}, {t} CET"), 1,
    ),
    "pl": Language(
        "YouTube i YouTube Music/historia/historia oglądania",
        "Obejrzano: {}", "Obejrzano usunięty film", "Z Google Ads",
        ("Usługi:", "Szczegóły:", "Dlaczego to widzę?"),
        named("sty|lut|mar|kwi|maj|cze|lip|sie|wrz|paź|lis|gru", "{d} {m} {y}, {t} CET"), 1,
    ),
    "ru": Language(
        "YouTube и YouTube Music/история/история просмотров",
        "Вы посмотрели видео {}", "Вы посмотрели видео, которое было удалено", "Из Google Рекламы",
        ("Продукты:", "Подробные сведения:", "Почему я это вижу?"),
        named("янв.|февр.|мар.|апр.|мая|июн.|июл.|авг.|сент.|окт.|нояб.|дек.", "{d} {m} {y} г., {t} MSK"), 3,
    ),
    "tr": Language(
        "YouTube ve YouTube Music/geçmiş/izleme-geçmişi",
        "{} adlı videoyu izlediniz", "Kaldırılan bir video izlendi", "Google Ads'den",
        ("Ürünler:", "Ayrıntılar:", "Bu neden burada?"),
        named("Oca|Şub|Mar|Nis|May|Haz|Tem|Ağu|Eyl|Eki|Kas|Ara", "{d} {m} {y} {t} GMT+03:00"), 3,
    ),
    "cs": Language(
        "YouTube a YouTube Music/historie/historie-sledování",
        "Zhlédnuto: {}", "Zhlédnuto: video, které bylo odstraněno", "Z Google Ads",
        ("Služby:", "Podrobnosti:", "Proč se tu tato aktivita nachází?"),
        named(EN, "{d}. {n}. {y} {t} SEČ"),
    ),
    "el": Language(
        "YouTube και YouTube Music/ιστορικό/ιστορικό παρακολούθησης",
        "Παρακολουθήσατε το {}", "Παρακολουθήσατε ένα βίντεο που έχει καταργηθεί", "Από το Google Ads",
        ("Προϊόντα:", "Λεπτομέρειες:", "Γιατί εμφανίζεται αυτό;"),
        named("Ιαν|Φεβ|Μαρ|Απρ|Μαΐ|Ιουν|Ιουλ|Αυγ|Σεπ|Οκτ|Νοε|Δεκ", "{d} {m} {y}, {h} {p} EET",
              ampm=("π.μ.", "μ.μ.")), 2,
    ),
    "ja": Language(
        "YouTube と YouTube Music/履歴/watch-history",
        "{} を視聴しました", "削除された動画を視聴しました", "Google 広告から",
        ("サービス:", "詳細:", "このアクティビティがここにあるのはなぜですか？"),
        named(EN, "{y}/{n:02}/{d:02} {t} JST"), 9,
    ),
    "zh-CN": Language(
        "YouTube 和 YouTube Music/历史记录/观看记录",
        "观看了“{}”", "观看了已被移除的视频", "来自 Google Ads",
        ("产品：", "详情：", "为什么此活动会出现在这里？"),
        named(EN, "{y}年{n}月{d}日 {t} CST"), 8,
    ),
    "zh-TW": Language(
        "YouTube 和 YouTube Music/紀錄/觀看記錄",
        "觀看了「{}」", "觀看了一部已移除的影片", "來自 Google Ads",
        ("產品：", "詳細資料：", "為什麼這裡會顯示這項活動？"),
        named(EN, "{y}年{n}月{d}日 {p}{h} [GMT+8]", ampm=("上午", "下午")), 8,
    ),
    "ko": Language(
        "YouTube 및 YouTube Music/시청 기록/시청 기록",
        "{} 을(를) 시청했습니다.", "삭제된 동영상을 시청함", "Google Ads 사용",
        ("제품:", "세부정보:", "이 활동이 표시되는 이유가 무엇인가요?"),
        named(EN, "{y}. {n}. {d}. {p} {h} KST", ampm=("오전", "오후")), 9,
    ),
    "ar": Language(
        "YouTube وYouTube Music/السجلّ/سجلّ المشاهدة",
        "تمت مشاهدة {}", "تمت مشاهدة فيديو تمت إزالته", "من إعلانات Google",
        ("المنتجات:", "التفاصيل:", "ما سبب ظهور هذا النشاط؟"),
        lambda moment: named(EN, "{d}\u200f/{n}\u200f/{y}، {h} {p} غرينتش+3", ampm=("ص", "م"))(moment).translate(ARABIC),
        3,
    ),
    "fa": Language(
        "YouTube و YouTube Music/سابقه/سابقه تماشا",
        "{} را تماشا کردید", "ویدیویی را که حذف شده است تماشا کردید", "از Google Ads",
        ("محصولات:", "جزئیات:", "چرا این اینجاست؟"),
        persian, 3.5,
    ),
    "he": Language(
        "YouTube ו-YouTube Music/היסטוריה/היסטוריית צפייה",
        "צפית בסרטון {}", "צפית בסרטון שהוסר", "מ-Google Ads",
        ("מוצרים:", "פרטים:", "למה זה מופיע כאן?"),
        named("ינו׳|פבר׳|מרץ|אפר׳|מאי|יוני|יולי|אוג׳|ספט׳|אוק׳|נוב׳|דצמ׳", "{d} ב{m} {y}, {t} IST"), 2,
    ),
    "hi": Language(
        "YouTube और YouTube Music/इतिहास/देखने का इतिहास",
        "{} को देखा गया", "हटाया गया वीडियो देखा गया", "Google Ads से",
        ("प्रॉडक्ट:", "जानकारी:", "यह यहां क्यों है?"),
        named("जन॰|फ़र॰|मार्च|अप्रैल|मई|जून|जुल॰|अग॰|सित॰|अक्तू॰|नव॰|दिस॰", "{d} {m} {y}, {h} {p} IST", ampm=("am", "pm")),
        5.5,
    ),
    "th": Language(
        "YouTube และ YouTube Music/ประวัติ/ประวัติการดู",
        "ดู {} แล้ว", "ดูวิดีโอที่ถูกนำออกแล้ว", "จาก Google Ads",
        ("ผลิตภัณฑ์:", "รายละเอียด:", "เหตุใดจึงแสดงที่นี่"),
        named("ม.ค.|ก.พ.|มี.ค.|เม.ย.|พ.ค.|มิ.ย.|ก.ค.|ส.ค.|ก.ย.|ต.ค.|พ.ย.|ธ.ค.", "{d} {m} {y} {t} GMT+7", 543), 7,
    ),
    "vi": Language(
        "YouTube và YouTube Music/danh sách video đã xem/danh sách video đã xem",
        "Đã xem {}", "Đã xem một video đã bị xóa", "Từ Google Ads",
        ("Sản phẩm:", "Chi tiết:", "Tại sao có hoạt động này?"),
        named(EN, "{t} {d} thg {n}, {y} GMT+7"), 7,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """An entry, and what has to become of it: `kept`, or the reason why not."""

    becomes: str
    url: str | None
    title: str | None
    """None: the sentence about a removed video."""
    channel: str | None = None
    ad: bool = False
    music: bool = False
    seconds_ago: int = 0


def watch(number: int) -> str:
    return f"https://www.youtube.com/watch?v={video_id(number)}"


def video_id(number: int) -> str:
    return f"{number:04}_aB-{number:04}"[:11].ljust(11, "x")


def lines() -> list[Line]:
    """One of every kind, newest first, a little over an hour apart, all within three days."""
    made = [
        Line("kept", watch(1), "A first <video> & 'more'", "Ann & Co"),
        Line("kept", watch(2) + "&t=43s", "שלום עולם", "Ben"),
        Line("kept", f"https://youtu.be/{video_id(3)}?si=abc", "動画の題名", "Cai"),
        Line("kept", f"https://m.youtube.com/watch?v={video_id(4)}", "2026. 11. 3. at 10:20:30", "Dee"),
        Line("kept", f"https://www.youtube.com/shorts/{video_id(5)}", "عنوان قصير", "Eve"),
        Line("kept", f"https://www.youtube.com/live/{video_id(6)}?feature=share", "Live", "Fay"),
        Line("kept", f"https://music.youtube.com/watch?v={video_id(7)}", "A song", "Gus", music=True),
        Line("kept", watch(1), "A first <video> & 'more'", "Ann & Co"),
        Line("kept", watch(8), "No channel is known"),
        Line("ad", watch(90), "Buy this"),
        Line("ad", watch(91), "Buy that", "Shop"),
        Line("removed", None, None),
        Line("removed", watch(92), watch(92)),
        Line("post", "https://www.youtube.com/post/UgkxAbCdEfGhIjKlMnOpQrSt", "A post", "Ann & Co"),
        Line("playlist", "https://www.youtube.com/playlist?list=PL0123456789abcdef", "A list"),
        Line("channel", "https://www.youtube.com/channel/UCabcdefghijklmnopqrstuv", "Ann & Co"),
        Line("channel", "https://www.youtube.com/@ann", "Ann & Co"),
        Line("search", "https://www.youtube.com/results?search_query=cats+%26+dogs", "cats & dogs"),
        Line("story", "https://www.youtube.com/stories/abcdefghij", "A story"),
        Line("page", "https://www.youtube.com/premium", "Premium"),
        Line("elsewhere", "https://example.org/watch?v=aaaaaaaaaaa", "Elsewhere"),
        Line("no id", "https://www.youtube.com/watch?v=short", "A broken link", "Ann & Co"),
    ]  # fmt: skip
    return [Line(**{**vars(line), "seconds_ago": 4321 * n}) for n, line in enumerate(made)]


def many(count: int) -> list[Line]:
    """Views of as many videos, of a tenth as many channels, half an hour apart."""
    return [
        Line(
            "kept",
            watch(n),
            f"Video {n} & its 'title'",
            f"Channel {n % (count // 10 + 1)}",
            seconds_ago=1801 * n,
        )
        for n in range(count)
    ]


def expected(of: Sequence[Line]) -> tuple[int, Counter[str]]:
    """How many are kept, and how many dropped for which reason."""
    becomes = Counter(line.becomes for line in of)
    return becomes.pop("kept"), becomes


def in_json(language: Language, of: Sequence[Line]) -> str:
    """A history in JSON, escaped as Google escapes."""
    entries: list[dict[str, Any]] = []
    for line in of:
        moment = NEWEST - timedelta(seconds=line.seconds_ago)
        entry: dict[str, Any] = {"header": "YouTube Music" if line.music else "YouTube"}
        entry["title"] = (
            language.removed if line.title is None else language.watched.format(line.title)
        )
        if line.url is not None:
            entry["titleUrl"] = line.url
        if line.channel is not None:
            entry["subtitles"] = [{"name": line.channel, "url": channel_url(line.channel)}]
        entry["time"] = moment.strftime("%Y-%m-%dT%H:%M:%S.123Z")
        entry["products"] = ["YouTube"]
        if line.ad or line.becomes == "ad":
            entry["details"] = [{"name": language.ads}]
        entry["activityControls"] = ["YouTube watch history"]
        entries.append(entry)
    text = json.dumps(entries, ensure_ascii=False, indent=2)
    return text.replace("=", "\\u003d").replace("&", "\\u0026").replace("<", "\\u003c")


def channel_url(name: str) -> str:
    return f"https://www.youtube.com/channel/UC{name.encode().hex()[:22]:0<22}"


CELL = "content-cell mdl-cell mdl-cell--6-col mdl-typography--body-1"
HEAD = (
    '<html><head><meta charset="UTF-8"><title>history</title><style type="text/css">'
    + ".mdl-cell{margin:8px}\n" * 4000
    + '</style></head><body><div class="mdl-grid">'
)


def in_html(language: Language, of: Sequence[Line]) -> str:
    """A history in HTML, as Google writes it."""
    return HEAD + "".join(_cells(language, line) for line in of) + "</div></body></html>"


def _cells(language: Language, line: Line) -> str:
    zone = timezone(timedelta(hours=language.zone_hours))
    moment = (NEWEST - timedelta(seconds=line.seconds_ago)).astimezone(zone)
    if line.url is None:
        told = language.removed
    else:
        anchor = f'<a href="{html.escape(line.url)}">{html.escape(line.title or "")}</a>'
        told = html.escape(language.watched).replace(" {}", "\xa0{}").format(anchor)
    if line.channel is not None:
        told += f'<br><a href="{channel_url(line.channel)}">{html.escape(line.channel)}</a>'
    if line.becomes == "ad":
        told += "<br>11:39"
    products, details, why = language.headings
    caption = f"<b>{products}</b><br>&emsp;YouTube<br>"
    if line.becomes == "ad":
        caption += f"<b>{details}</b><br>&emsp;{language.ads}<br>"
    caption += (
        f"<b>{why}</b><br>&emsp;{language.removed} {language.removed}&nbsp;"
        '<a href="https://myaccount.google.com/activitycontrols">.</a>'
    )
    header = "YouTube Music" if line.music else "YouTube"
    return (
        '<div class="outer-cell mdl-cell mdl-cell--12-col mdl-shadow--2dp"><div class="mdl-grid">'
        '<div class="header-cell mdl-cell mdl-cell--12-col">'
        f'<p class="mdl-typography--title">{header}<br></p></div>'
        f'<div class="{CELL}">{told}<br>{language.date(moment)}<br></div>'
        f'<div class="{CELL} mdl-typography--text-right"></div>'
        '<div class="content-cell mdl-cell mdl-cell--12-col mdl-typography--caption">'
        f"{caption}</div></div></div>\n"
    )


@dataclass
class Export:
    """Files of an export by their path in it."""

    files: dict[str, bytes] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder


def export(language: Language, *formats: str, of: Sequence[Line] | None = None) -> Export:
    """An export with the history in `formats`, and what else lies beside it."""
    entries = lines() if of is None else of
    text = {"json": in_json, "html": in_html}
    made = Export()
    for format_ in formats:
        content = text[format_](language, entries).encode()
        made.files[f"Takeout/{language.history}.{format_}"] = content
    folder = f"Takeout/{language.history.partition('/')[0]}"
    searches = [line for line in lines() if line.becomes == "search"] * 3
    made.files[f"{folder}/x/search.json"] = in_json(language, searches).encode()
    made.files[f"{folder}/subscriptions.csv"] = b"Channel Id,Channel Url,Channel Title\n"
    made.files["Takeout/archive_browser.html"] = b"<!DOCTYPE html><html><body>index</body></html>"
    made.files["Takeout/Photos/a.json"] = b'{"title": "a.jpg"}'
    return made
