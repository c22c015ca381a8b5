"""Characters as they were meant: width, compatibility forms and traditional characters folded, one by one.

Both the reading and the catalogue compare texts in this form; neither changes the text that is kept and shown.
"""

from __future__ import annotations

import unicodedata

_TRADITIONAL = (
    "縣區鎮鄉發車輛損萬億機絕祕傷亡處場報員門開關時間點鐘後國際學醫療護險災雲陽東樓廠礦爆燒氣體農產業農務廳辦總"
    "誤更續終審簽發領導組織團隊黨參與眾數個餘約經濟財戶畝頃頓級風電話傳眞聯絡訊線據現將應無沒為爲從對於這還說請讓認識調"
    "確實際緊備軍槍彈藥劫毀壞壓撞側翻溝橋邊鐵運輸進貨紅緣遠達過運連選滅滯衝擊圍攻訪遊罷課請願諮詢證監獄賊殺盜竊騙貪"
    "滲漏潰決險雙兩叢專義鄰裏裡節慶歲歷曆優優獎額貸樂爾貝貴賓資質賣買購費賠償勞動勢興舉舊藝蘇葉蘭處號術衛裝製複覆親覺觀規視蹤屍喪僅亂燙墜懸"
)
_SIMPLIFIED = (
    "县区镇乡发车辆损万亿机绝秘伤亡处场报员门开关时间点钟后国际学医疗护险灾云阳东楼厂矿爆烧气体农产业农务厅办总"
    "误更续终审签发领导组织团队党参与众数个余约经济财户亩顷顿级风电话传真联络讯线据现将应无没为为从对于这还说请让认识调"
    "确实际紧备军枪弹药劫毁坏压撞侧翻沟桥边铁运输进货红缘远达过运连选灭滞冲击围攻访游罢课请愿咨询证监狱贼杀盗窃骗贪"
    "渗漏溃决险双两丛专义邻里里节庆岁历历优优奖额贷乐尔贝贵宾资质卖买购费赔偿劳动势兴举旧艺苏叶兰处号术卫装制复复亲觉观规视踪尸丧仅乱烫坠悬"
)
_PLAIN = dict(zip(_TRADITIONAL, _SIMPLIFIED, strict=True)) | {
    "，": "，", "…": "…", "—": "—", "–": "-", "−": "-", "‐": "-", "〜": "~", "☆": "★", "＊": "*", "｜": "|", "▪": "·", "•": "·", "・": "·",
}  # fmt: skip

MAY_FOLD = (
    "\\x00-\\x09\\x0b-\\x1f\\x7f-\\u3000\\u3003-\\u4dff\\ua000-\\uff0b\\uff0d-\\uffff\\U00010000-\\U0010ffff"
    + "".join(char for char in _PLAIN if "\u4e00" <= char <= "\u9fff")
)
"""The characters that may stand for others, as the inside of a regular expression's class: most of a text is none of them."""


def fold_char(char: str) -> str:
    """What one character stands for: usually one character, none for invisible ones, more for ㎡ and the like.

    Circled and bracketed numbers (①, ㈠) stay: they count lines, not people.
    """
    if char < "\u0080":
        return char
    if (plain := _PLAIN.get(char)) is not None:
        return plain
    if "\u4e00" <= char <= "\u9fff":
        return char
    category = unicodedata.category(char)
    if category == "Cf":
        return ""
    if category == "Zs":
        return " "
    if category == "No":
        return char
    return unicodedata.normalize("NFKC", char)


def fold(text: str) -> str:
    """``text`` folded character by character, with white space removed: for looking words up, not for reading figures."""
    return text.translate(_FOLDED)


class _Folded(dict[int, str]):
    """What characters stand for, without white space, as ``str.translate`` asks for it; those of late are remembered."""

    def __missing__(self, code: int) -> str:
        folded = fold_char(chr(code))
        piece = "" if folded.isspace() else folded
        if len(self) < _REMEMBERED:
            self[code] = piece
        return piece


_REMEMBERED = 20_000
_FOLDED = _Folded()
