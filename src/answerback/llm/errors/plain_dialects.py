"""What the codes and sentences of vendors mean that have no row of their own: rows of the table in `dialects.py`, read
after all those that know a vendor. They are known by the words of which their codes are made; where an error names no
code either, and no status (in a stream, or in a 200), by its sentence.

An error that was read so rests no account: it may repeat a request.
"""

from answerback.kernel.provider_error import Concerns
from answerback.llm.errors.meaning import NO_STATUS, Meaning, Row, row
from answerback.llm.errors.sentences import BANNED, MODEL_DENIED, NO_MONEY

_ANY_CODE = "vendors of no row: a code made of such words"
_ANY_SENTENCE = "vendors of no row, without a status: a sentence"

_OF_ACCESS = r"(?:api|access|auth|bearer|secret|iam|security|subscription)"
_KEY = rf"(?:{_OF_ACCESS}?(?:key|token|signature)|credentials?|authorization)"
_ACCOUNT = r"(?:account|user|org(?:anization)?|project|workspace|tenant|consumer|team|apikey|key)"
_PART = r"(?:image|file|attachment|video|audio|document|page|tool|function|stop sequence)"
_PARTS = rf"{_PART}s\b"
_MODEL_AWAY = "unavailablemodel|(?:model|deployment|engine)s?(?:is)?(?:notavailable|unavailable)"

CREDIT_CODES: tuple[Row, ...] = (
    row(
        Meaning.CREDIT,
        _ANY_CODE,
        statuses=(NO_STATUS, 400, 401, 402, 403, 412, 429, 500),
        named=r"arrear|overdue|unpaid|payment(?:is)?(?:required|method|failed)|^billing"
        r"|(?:insufficient|notenough|outof|no|low|negative)(?:user|account|remaining)?(?:balance|credit|fund|money|quota)"
        r"|(?:balance|credit|fund|wallet|money|package|trial)s?(?:is|are)?"
        r"(?:insufficient|notenough|toolow|low|exhaust|deplet|exceed|empty|expire|runout|usedup)"
        r"|(?:spend|spending|budget|cost|credit)s?(?:limit|cap)?(?:exceed|reach|exhaust|hit)"
        r"|(?:budget|spend|spending|credit)s?(?:limit|cap)|exceeded\w{0,8}budget"
        r"|(?:subscription|plan|membership|package)(?:has|is)?(?:expire|inactive|required|ended|cancel)"
        r"|(?:expired|inactive)plan|(?:expired|inactive|invalid|no)(?:active)?(?:subscription|membership)",
        concerns=Concerns.REQUEST,
    ),
)

PLAIN: tuple[Row, ...] = (
    row(
        Meaning.FILTERED,
        _ANY_CODE,
        statuses=(NO_STATUS, 400, 403, 422, 424, 451, 500),
        named=r"content(?:filter|policy|violat|block|moderat)|(?:prompt|input|output)(?:is)?blocked|moderation(?:block|flag|fail|error)|unsafe|safety(?:violat"
        r"|block|filter)|sensitive(?:content|word|data)|datainspection|risk(?:control|detect)|policyviolation|censor",
    ),
    row(
        Meaning.CONTEXT,
        _ANY_CODE,
        statuses=(NO_STATUS, 400, 413, 422, 500),
        named=r"(?:context|prompt|input)s?(?:length|size|window|token)?s?(?:is|are)?(?:toolong|exceed|overflow|limitexceed)"
        r"|(?:message|conversation)s?(?:toolong|(?:length|size|token)s?(?:exceed|overflow|limitexceed))|contextlength|toomany(?:input|prompt)tokens|(?:max|exceed)\w*context",
    ),
    row(
        Meaning.MODEL,
        _ANY_CODE,
        statuses=(NO_STATUS, 400, 404, 410, 422),
        named=r"(?:no|nosuch|unknown|invalid|unsupported|bad)model(?:name|id)?(?:error|exception)?$"
        r"|(?:model|deployment|engine)s?(?:name|id)?(?:is|does)?(?:notfound|notexist|notsupported|notdeployed"
        r"|notenabled|unknown|invalid|unsupported|removed|retired|deprecated|disabled|decommissioned)",
    ),
    # With another status it may be there again in a moment.
    row(Meaning.MODEL, _ANY_CODE, statuses=(404, 410), named=_MODEL_AWAY),
    row(
        Meaning.AUTH,
        _ANY_CODE,
        statuses=(NO_STATUS, 400, 404, 429, 500),
        named=rf"(?:invalid|incorrect|wrong|bad|expired|revoked|disabled){_KEY}(?:error)?$"
        rf"|(?:missing|no|unknown)(?:{_OF_ACCESS}(?:key|token)|credentials?|authorization)$|^{_KEY}(?:is|has)?(?:been)?(?:invalid|incorrect|expired|revoked|disabled|missing|notfound|suspended|leaked)"
        r"|^(?:un|not)auth(?!\w*(?:param|field|argument))|^auth(?:entication|orization)?(?:fail|error|required|denied)|permissiondenied|accessdenied"
        rf"|insufficientpermission|{_ACCOUNT}(?:is|hasbeen)?(?:suspended|banned|disabled|deactivated|terminated|locked"
        r"|blocked|restricted|frozen|inactive)|accessterminated|^ip(?:is)?not(?:allowed|authorized)|servicenotactivated",
        concerns=Concerns.REQUEST,
    ),
    row(
        Meaning.LIMITED,
        _ANY_CODE,
        statuses=(NO_STATUS, 400, 500, 503),
        named=r"ratelimit|toomany(?:request|call|concurrent)|throttl|slowdown|resourceexhausted"
        r"|(?:request|message|concurren\w{0,3}|qps|rpm|tpm|usage|(?<!tool)(?<!function)call|frequency|rate|queue)s?(?:rate)?(?:limit|quota)?"
        r"(?:exceed|reach|hit)|(?:usage|concurrency)limit|quota(?:limit)?exceed|^limit(?:exceed|request|burst)",
    ),
    row(
        Meaning.CAPACITY,
        _ANY_CODE,
        statuses=(NO_STATUS, 400, 404, 408, 424, 498, 500, 502, 503),
        named=rf"{_MODEL_AWAY}|overload|capacity|serverbusy|modelbusy|modelnotready|modelloading|pendingdeploy|coldstart|queuefull"
        r"|noavailable(?:worker|instance|replica|server|resource)|insufficient(?:system)?resource|temporarilyunavailable",
    ),
    row(
        Meaning.REFUSED,
        "Qianfan (336001 to 336007), and vendors of no row: a code made of such words",
        statuses=(NO_STATUS,),
        named=r"^(?:invalid|missing|unknown|unauthorized|unsupported|malformed|illegal|bad)(?!error$)|badrequest|unprocessable"
        r"|validation|toolarge|^33600[1-7]$",
    ),
    # Errors that name nothing at all.
    row(
        Meaning.CREDIT,
        _ANY_SENTENCE,
        statuses=(NO_STATUS,),
        says=NO_MONEY,
        concerns=Concerns.REQUEST,
    ),
    row(
        Meaning.AUTH,
        _ANY_SENTENCE,
        statuses=(NO_STATUS,),
        says=r"(?:invalid|incorrect|wrong|expired|missing|no) "
        r"(?:(?:api|access|authentication|auth|security)[ -]?(?:key|token)|credential)"
        r"|^(?:invalid|incorrect|wrong|expired|missing|no) (?:key|token) ?(?:[.!;(]|$)"
        r"|not (?:been )?authori[sz]ed|unauthori[sz]ed|insufficient permission|login fail"
        r"|(?:security token|api key|access token) [^.]{0,40}(?:invalid|expired|missing)|username or password"
        r"|authentication (?:failed|error|token)|organization to use the api|access (?:is )?(?:denied|restricted)"
        r"|(?:令牌|密钥|api ?key) ?(?:无效|错误|已?过期)|无效的 ?(?:令牌|密钥|api ?key)|(?:身份验证|认证|鉴权)失败"
        rf"|没有权限|无权访问|{BANNED}|{MODEL_DENIED}",
        concerns=Concerns.REQUEST,
    ),
    row(
        Meaning.TOO_LARGE,
        _ANY_SENTENCE,
        statuses=(NO_STATUS,),
        says=r"(?:request|payload|body|entity)[^.]{0,40}(?:too large|exceeds the maximum size)",
    ),
    row(
        Meaning.REFUSED,
        _ANY_SENTENCE,
        statuses=(NO_STATUS,),
        says=rf"too many (?:\w+ )?{_PARTS}|{_PART} (?:size|count|dimension|resolution|length)s? [^.]{{0,30}}"
        r"\b(?:exceed|limit|too)",
    ),
    row(
        Meaning.LIMITED,
        _ANY_SENTENCE,
        statuses=(NO_STATUS,),
        says=r"\blimits? (?:is |are |has been |was )?(?:reached|exceeded|hit)\b|\blimit exceeded"
        r"|(?:reached|exceeded|hit|used up)\b[^.]{0,60}\b(?:limit|quota|allocation)|quota (?:is |was )?exceeded"
        r"|too many (?:\w+ )?(?:requests|calls|connections|users|attempts|queries)|too many tokens, please wait"
        r"|too (?:quickly|frequent)|并发数|请求过(?:多|快)|频繁|频率(?!惩罚)|限流|限额|使用上限|访问量过大",
    ),
    row(
        Meaning.REFUSED,
        _ANY_SENTENCE,
        statuses=(NO_STATUS,),
        says=r"does(?: not|n.t) support\b|\bnot supported\b|\bmust be\b|not permitted|(?:is|are) required\b"
        r"|missing required|bad input|参数(?:非法|错误|无效)|extra fields",
    ),
)
