// Beginnings of chart options that are alike: axes, tooltips and legends in the colours of the theme.
import type { Option } from './echarts';
import { ink } from './theme.svelte';

export const tooltip = (formatter?: (at: never) => string, trigger: 'item' | 'axis' = 'item'): Option => {
  const { text, ground, line } = ink();
  const base = { renderMode: 'richText', trigger, backgroundColor: ground, borderColor: line, confine: true };
  return { ...base, textStyle: { color: text, fontSize: 12 }, ...(formatter ? { formatter } : {}) };
};

export const axis = (name: string, more: Option = {}): Option => {
  const { soft, line } = ink();
  return {
    name,
    nameLocation: 'middle',
    nameGap: 30,
    nameTextStyle: { color: soft, fontSize: 12 },
    axisLine: { lineStyle: { color: line } },
    ...more,
    splitLine: { ...(more.splitLine as Option | undefined), lineStyle: { color: line, width: 0.5 } },
    axisLabel: { color: soft, hideOverlap: true, ...(more.axisLabel as Option | undefined) },
  };
};

export const legend = (more: Option = {}): Option => ({
  type: 'plain',
  selectedMode: false, // what is shown is what the address says
  textStyle: { color: ink().text, fontSize: 12 },
  itemWidth: 12,
  itemHeight: 12,
  itemGap: 10,
  top: 0,
  left: 0,
  ...more,
});
