"""Other countries, by the names that Chinese reports use for them, their capitals and best-known cities."""

from __future__ import annotations

from functools import cache

_NAMES = """
美国 纽约 华盛顿 洛杉矶 旧金山 芝加哥 休斯敦 波士顿 夏威夷 佛罗里达 得克萨斯 加利福尼亚 新奥尔良 密西西比 阿拉斯加 西雅图 拉斯维加斯
俄罗斯 莫斯科 圣彼得堡 车臣 北奥塞梯 达吉斯坦 别斯兰 西伯利亚 俄
日本 东京 大阪 名古屋 北海道 福岛县 新潟 神户 冲绳
韩国 首尔 汉城 釜山 大邱
朝鲜 平壤
蒙古国 乌兰巴托
印度 孟买 新德里 加尔各答 海得拉巴 班加罗尔 古吉拉特 比哈尔邦 克什米尔
巴基斯坦 伊斯兰堡 卡拉奇 拉合尔 白沙瓦 俾路支
孟加拉国 达卡 孟加拉
斯里兰卡 科伦坡
尼泊尔 加德满都
不丹
马尔代夫
阿富汗 喀布尔 坎大哈
伊朗 德黑兰
伊拉克 巴格达 基尔库克 摩苏尔 费卢杰
叙利亚 大马士革 阿勒颇
以色列 耶路撒冷 特拉维夫
巴勒斯坦 加沙
黎巴嫩 贝鲁特
约旦
沙特阿拉伯 沙特 利雅得 麦加
也门 萨那
阿联酋 迪拜
卡塔尔
科威特
巴林
阿曼
土耳其 安卡拉 伊斯坦布尔
格鲁吉亚 第比利斯
亚美尼亚
阿塞拜疆 巴库
哈萨克斯坦 阿斯塔纳 阿拉木图
吉尔吉斯斯坦 吉尔吉斯 比什凯克
塔吉克斯坦 杜尚别
乌兹别克斯坦 塔什干
土库曼斯坦
印度尼西亚 印尼 雅加达 苏门答腊 巴厘岛 爪哇
菲律宾 马尼拉 棉兰老岛
马来西亚 吉隆坡
新加坡
泰国 曼谷 普吉
越南 河内 胡志明市
老挝 万象
柬埔寨 金边
缅甸 仰光 果敢
文莱
东帝汶 帝力
英国 伦敦 苏格兰 英格兰 曼彻斯特 北爱尔兰
法国 巴黎 尼斯 马赛
德国 柏林 慕尼黑 法兰克福
意大利 罗马 米兰
西班牙 马德里 巴塞罗那
葡萄牙 里斯本
荷兰 阿姆斯特丹
比利时 布鲁塞尔
瑞士 日内瓦 苏黎世
奥地利 维也纳
瑞典 斯德哥尔摩
挪威 奥斯陆
丹麦 哥本哈根
芬兰 赫尔辛基
冰岛
爱尔兰 都柏林
希腊 雅典
波兰 华沙
捷克 布拉格
斯洛伐克
匈牙利 布达佩斯
罗马尼亚 布加勒斯特
保加利亚 索非亚
塞尔维亚 贝尔格莱德
科索沃
克罗地亚
波斯尼亚和黑塞哥维那 波黑
阿尔巴尼亚
北马其顿 马其顿
乌克兰 基辅 顿涅茨克
白俄罗斯 明斯克
立陶宛
拉脱维亚
爱沙尼亚
摩尔多瓦
埃及 开罗 沙姆沙伊赫 亚历山大港
利比亚 的黎波里 班加西
阿尔及利亚 阿尔及尔
摩洛哥 卡萨布兰卡
突尼斯
苏丹 喀土穆 达尔富尔
南苏丹
埃塞俄比亚 亚的斯亚贝巴
索马里 摩加迪沙
肯尼亚 内罗毕
乌干达 坎帕拉
卢旺达
布隆迪
坦桑尼亚 达累斯萨拉姆
刚果（金） 刚果 金沙萨
尼日利亚 阿布贾 拉各斯 博尔诺州
尼日尔
马里
布基纳法索
乍得
喀麦隆
加纳
科特迪瓦
塞内加尔
几内亚
利比里亚
塞拉利昂
安哥拉
赞比亚
津巴布韦
莫桑比克
马拉维
马达加斯加
南非 约翰内斯堡 开普敦
纳米比亚
毛里塔尼亚
加拿大 多伦多 温哥华 渥太华 蒙特利尔
墨西哥 墨西哥城
危地马拉
洪都拉斯 特古西加尔巴
萨尔瓦多
尼加拉瓜
哥斯达黎加 圣何塞
巴拿马
古巴 哈瓦那
海地 太子港
多米尼加
牙买加
哥伦比亚 波哥大
委内瑞拉 加拉加斯
厄瓜多尔 基多
秘鲁 利马
玻利维亚 拉巴斯
智利 圣地亚哥 康塞普西翁
阿根廷 布宜诺斯艾利斯
巴西 里约热内卢 圣保罗 巴西利亚
乌拉圭
巴拉圭
澳大利亚 澳洲 悉尼 墨尔本 堪培拉 布里斯班
新西兰 惠灵顿 克赖斯特彻奇 奥克兰
巴布亚新几内亚
斐济
所罗门群岛
汤加
萨摩亚
"""
_WORDS = ("印度洋", "印度教", "罗马尼亚", "马里兰", "约旦河", "俄国", "俄语", "俄式", "俄而", "巴西利亚", "马里亚纳")
"""Longer words that begin with a name and are none, or are another."""


@cache
def countries() -> tuple[dict[str, str], dict[str, tuple[int, ...]]]:
    """Every name with the country it stands for, and for the first sign of a name the lengths of names that begin with it."""
    names: dict[str, str] = {}
    for line in _NAMES.split("\n"):
        words = line.split()
        for word in words:
            if len(word) > 1:
                names[word] = words[0]
    heads: dict[str, set[int]] = {}
    for name in (*names, *_WORDS):
        heads.setdefault(name[:2], set()).add(len(name))
    return names, {head: tuple(sorted(lengths, reverse=True)) for head, lengths in heads.items()}
